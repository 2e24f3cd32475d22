"""All contracts over all that a source has, without a study: what `data check` and `data ls` show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from xtreme_dag.catalogue.catalogue import Catalogue, Dataset, Split
from xtreme_dag.catalogue.sources import Located, Source
from xtreme_dag.contracts.check import facts, tolerant
from xtreme_dag.contracts.cross import Sketch, across_languages, unseen, unseen_in_translation
from xtreme_dag.contracts.odcs import Contract, Rule, contract_path, read_contract
from xtreme_dag.contracts.questions import whole_frame
from xtreme_dag.core.errors import UserError
from xtreme_dag.data.prepare.prepare import canonical
from xtreme_dag.program.survey.abreast import abreast
from xtreme_dag.program.survey.table_check import Table, check_tables, prepare_params, read_tables

_TABLES = 8  # in a call: Great Expectations is asked about several small ones at once
# Loading it takes as long as it takes to check a few dozen small tables.
_WORTH_A_PROCESS = 2
_LOADS = ("great_expectations", "pandas", "xtreme_dag.program.survey.table_check")


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
    listen: Callable[[str], None] = lambda words: None,
) -> list[Table]:
    """Reads and checks every table that a source has.

    A table that cannot be read, or that violates a rule, stops nothing but the rules across tables that need it.

    Args:
        catalogue: all datasets.
        source: where the data are.
        datasets: names of the datasets to check; all by default. Rules between datasets need both.
        languages: languages to check; all by default.
        listen: told in words how far it is.

    Raises:
        UserError: no such dataset, or a dataset without a contract.
    """
    contracts: dict[str, Contract] = {}
    calls = []
    for dataset in [catalogue.dataset(name) for name in datasets or catalogue.datasets]:
        contracts[dataset.name] = read_contract(contract_path(dataset.name))
        wanted = [
            (language, split, located)
            for split in dataset.splits.values()
            for language, located in _located(dataset, split, source, languages)
        ]
        root = getattr(source, "path", None)
        calls += [
            (dataset, contracts[dataset.name], wanted[low : low + _TABLES], root)
            for low in range(0, len(wanted), _TABLES)
        ]
    total = sum(len(wanted) for _, _, wanted, _ in calls)
    listen(f"{total} tables to check")
    tables: list[Table] = []
    originals: dict[str, list[Kept]] = {}
    answers = abreast(check_tables, calls, enough=_WORTH_A_PROCESS, loads=_LOADS, ahead=read_tables)
    found = zip(calls, answers, strict=True)
    for dataset, group in groupby(found, key=lambda one: one[0][0]):
        contract = contracts[dataset.name]
        kept: dict[str, dict[str, Kept]] = {}
        for (_, _, wanted, _), checked in group:
            for (language, split, _), (table, known) in zip(wanted, checked, strict=True):
                tables.append(table)
                listen(f"{len(tables)} of {total} tables checked: {dataset.name} {split.name} {language}")
                if known is not None:
                    kept.setdefault(split.name, {})[language] = Kept(table=table, split=split, sketch=known)
        _across(kept, contract)
        if contract.originals:
            originals.setdefault(contract.originals, []).extend(one for by in kept.values() for one in by.values())
    for translations in originals.values():
        _translated(translations)
    _tokenisations(tables)
    return tables


def _located(dataset: Dataset, split: Split, source: Source, languages: Sequence[str]) -> Iterator[tuple[str, Located]]:
    for language in source.languages(dataset, split.name):
        if not languages or language in languages:
            yield language, source.locate(dataset, language, split.name)


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
                params = prepare_params(dataset, language, split, located)
                try:
                    rows, counts = canonical(params, located.files, located.options)
                except UserError:
                    continue
                known = facts(params, counts, contract)
                rules, frame = whole_frame(rows, tolerant(contract, language), known)
                yield f"{dataset.name}_{split.name}_{language}", rules, frame
