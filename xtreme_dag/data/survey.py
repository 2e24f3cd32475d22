"""All contracts over all that a source has, without a study: what `data check` and `data ls` show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xtreme_dag.benchmark.catalogue import Catalogue, Dataset, Split
from xtreme_dag.data.contracts.check import facts, judge, tolerant
from xtreme_dag.data.contracts.cross import (
    Sketch,
    across_languages,
    sketch,
    unseen,
    unseen_in_translation,
)
from xtreme_dag.data.contracts.odcs import Contract, Rule, contract_path, read_contract
from xtreme_dag.data.contracts.questions import whole_frame
from xtreme_dag.data.prepare import canonical
from xtreme_dag.data.sources import Located, Source
from xtreme_dag.errors import UserError


@dataclass(kw_only=True)
class Table:
    """What a survey found about one table.

    Attributes:
        dataset: its name.
        language: ISO code.
        split: its name.
        use: `train`, `select` or `test`.
        files: raw files, relative to the source's folder where it is one.
        stand_in: what the table really is, or None.
        notes: what is known to be amiss, in words.
        counts: as `prepare` writes them; empty where it could not be read.
        rules: outcome of every rule, of this table and across tables; a finding across tables has `against`.
    """

    dataset: str
    language: str
    split: str
    use: str
    files: list[str]
    stand_in: str | None
    notes: list[str]
    counts: dict[str, Any] = field(default_factory=dict)
    rules: list[dict[str, Any]] = field(default_factory=list)

    @property
    def violations(self) -> list[dict[str, Any]]:
        """Rules that are not satisfied and stop what depends on the table."""
        return [rule for rule in self.rules if not rule["ok"] and rule["severity"] == "error"]

    @property
    def warnings(self) -> list[dict[str, Any]]:
        """Rules that are not satisfied, or only within a tolerance, and stop nothing."""
        return [rule for rule in self.rules if rule["count"] and (rule["ok"] or rule["severity"] != "error")]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is remembered of a checked table for the rules across tables."""

    table: Table
    split: Split
    sketch: Sketch


def survey(
    catalogue: Catalogue,
    source: Source,
    *,
    datasets: Sequence[str] = (),
    languages: Sequence[str] = (),
    listen: Callable[[str], None] = lambda name: None,
) -> list[Table]:
    """Reads and checks every table that a source has.

    A table that cannot be read, or that violates a rule, stops nothing but the rules across tables that need it.

    Args:
        catalogue: all datasets.
        source: where the data are.
        datasets: names of the datasets to check; all by default. Rules between datasets need both.
        languages: languages to check; all by default.
        listen: told the name of each table before it is read.

    Raises:
        UserError: no such dataset, or a dataset without a contract.
    """
    tables: list[Table] = []
    originals: dict[str, list[Kept]] = {}
    for dataset in [catalogue.dataset(name) for name in datasets or catalogue.datasets]:
        contract = read_contract(contract_path(dataset.name))
        kept: dict[str, dict[str, Kept]] = {}
        for split in dataset.splits.values():
            for language, located in _located(dataset, split, source, languages):
                listen(f"{dataset.name} {split.name} {language}")
                table, known = _checked(dataset, language, split, located, contract, source)
                tables.append(table)
                if known is not None:
                    kept.setdefault(split.name, {})[language] = Kept(table=table, split=split, sketch=known)
        _across(kept, contract)
        if contract.originals:
            originals.setdefault(contract.originals, []).extend(one for by in kept.values() for one in by.values())
    for group in originals.values():
        _translated(group)
    _tokenisations(tables)
    return tables


def _located(dataset: Dataset, split: Split, source: Source, languages: Sequence[str]) -> Iterator[tuple[str, Located]]:
    for language in source.languages(dataset, split.name):
        if not languages or language in languages:
            yield language, source.locate(dataset, language, split.name)


def _checked(
    dataset: Dataset, language: str, split: Split, located: Located, contract: Contract, source: Source
) -> tuple[Table, Sketch | None]:
    root = getattr(source, "path", None)
    found = Table(
        dataset=dataset.name,
        language=language,
        split=split.name,
        use=split.use,
        files=[str(path.relative_to(root)) if root else str(path) for path in located.files.values()],
        stand_in=located.stand_in,
        notes=[located.notes] if located.notes else [],
    )
    params = _params(dataset, language, split, located)
    try:
        rows, found.counts = canonical(params, located.files, located.options)
    except UserError as error:
        found.rules = [{"rule": "readable", "ok": False, "severity": "error", "count": 1, "first_ids": [],
                        "error": str(error)}]  # fmt: skip
        return found, None
    outcome, _ = judge(rows, contract, facts(params, found.counts, contract), params)
    found.rules = outcome["rules"]
    if found.counts.get("repeated_ids"):
        found.notes.append(f"{found.counts['repeated_ids']} rows share their id in the file with another row")
    return found, sketch(rows, dataset.format, language)


def _across(kept: Mapping[str, Mapping[str, Kept]], contract: Contract) -> None:
    """Rules between the languages of a split, and between the splits of a language."""
    for by_language in kept.values():
        sketches = {language: one.sketch for language, one in by_language.items()}
        if len(sketches) > 1:
            findings = across_languages(sketches, parallel=contract.parallel, same_labels=contract.same_labels)
            for language, found in findings.items():
                by_language[language].table.rules += found
    for new in (one for by in kept.values() for one in by.values() if one.split.use != "train"):
        for by_language in kept.values():
            known = by_language.get(new.sketch.language)
            if known is None:
                continue
            if known.split.use == "train":
                _add(new, unseen(new.sketch, known.sketch, tolerance=contract.overlap), known)
            elif (known.split.use, new.split.use) == ("select", "test"):
                finding = unseen(new.sketch, known.sketch, tolerance=contract.overlap, rule="unseen_in_selection")
                _add(new, finding, known)


def _translated(group: Sequence[Kept]) -> None:
    """Rules between datasets whose ids are those of the same originals: no test question is trained on in any language."""
    for test in group:
        for train in group:
            if test.split.use == "test" and train.split.use == "train" and train.table.dataset != test.table.dataset:
                _add(test, unseen_in_translation(test.sketch, train.sketch), train)


def _add(test: Kept, finding: dict[str, Any], other: Kept) -> None:
    if not finding["ok"]:
        against = f"{other.table.dataset}/{other.table.language}/{other.table.split}"
        test.table.rules.append({**finding, "against": against})


def _tokenisations(tables: Sequence[Table]) -> None:
    """Notes where the same sentences have other tokens in the datasets `ud` and `udpos`."""
    by_key = {(t.dataset, t.language, t.split): t for t in tables}
    for table in tables:
        other = by_key.get(("ud", table.language, table.split))
        if table.dataset != "udpos" or other is None or not (table.counts and other.counts):
            continue
        mine, theirs = table.counts["tokens"], other.counts["tokens"]
        if table.counts["rows"] == other.counts["rows"] and mine != theirs:
            table.notes.append(f"{mine} surface tokens where the dataset ud has {theirs} syntactic words")


def frames(catalogue: Catalogue, source: Source, datasets: Sequence[str]) -> Iterator[tuple[str, list[Rule], Any]]:
    """(name, rules, data frame) of every readable table, as Great Expectations gets to see it."""
    for dataset in [catalogue.dataset(name) for name in datasets]:
        contract = read_contract(contract_path(dataset.name))
        for split in dataset.splits.values():
            for language, located in _located(dataset, split, source, ()):
                params = _params(dataset, language, split, located)
                try:
                    rows, counts = canonical(params, located.files, located.options)
                except UserError:
                    continue
                known = facts(params, counts, contract)
                rules, frame = whole_frame(rows, tolerant(contract, language), known)
                yield f"{dataset.name}_{split.name}_{language}", rules, frame


def _params(dataset: Dataset, language: str, split: Split, located: Located) -> dict[str, Any]:
    return {
        **located.params,
        "dataset": dataset.name,
        "language": language,
        "split": split.name,
        "format": dataset.format,
        "labels": list(dataset.labels),
        "limit": None,
    }
