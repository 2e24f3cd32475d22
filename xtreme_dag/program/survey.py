"""Checks all tables of a source against their contracts, without a study, for `data check` and `contracts docs`.

Each table goes through the `prepare` and `check` stages of a study, in the engine's workers and with the home's store as
cache; what the rules across tables find is the artifact of one more stage for each group of datasets.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from xtreme_dag.catalogue.catalogue import Catalogue, Dataset, Split
from xtreme_dag.catalogue.sources import Located, Source
from xtreme_dag.contracts.odcs import Contract
from xtreme_dag.contracts.usual import contract_of
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.calls import StageFailed
from xtreme_dag.engine.execute import Executor, Result
from xtreme_dag.engine.graph import Output, Stage
from xtreme_dag.engine.pool import WorkerPool
from xtreme_dag.wiring.kinds import CHECK
from xtreme_dag.wiring.tables import check_stage, prepare_stage

_STUDY = "data check"  # under which the ledger has what a survey ran
# Each process has libraries and a table in memory (a few hundred megabytes), and loads Great Expectations (two CPU seconds).
_MOST_WORKERS = 8
_TABLES_WORTH_A_WORKER = 16


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
        notes: known defects, in words.
        counts: as `prepare` writes them; empty where it could not be read.
        rules: outcome of every rule, of this table and across tables; a finding across tables has `against`.
        folder: the artifact of `prepare`, or None where it could not be read.
        prepared: name and key of the stage that made it, likewise.
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
    folder: Path | None = None
    prepared: tuple[str, str] | None = None

    @property
    def violations(self) -> list[dict[str, Any]]:
        """Rules that are not satisfied and stop what depends on the table."""
        return [rule for rule in self.rules if not rule["ok"] and rule["severity"] == "error"]

    @property
    def warnings(self) -> list[dict[str, Any]]:
        """Rules that are not satisfied, or only within a tolerance, and stop nothing."""
        return [rule for rule in self.rules if rule["count"] and (rule["ok"] or rule["severity"] != "error")]


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What is to be checked.

    Attributes:
        contracts: dataset -> its contract.
        formats: dataset -> its canonical format.
        wanted: every table: dataset, split, language, where it is.
        source: the source that has them.
    """

    contracts: Mapping[str, Contract]
    formats: Mapping[str, str]
    wanted: Sequence[tuple[Dataset, Split, str, Located]]
    source: Source

    @classmethod
    def of(
        cls, catalogue: Catalogue, source: Source, *, datasets: Sequence[str] = (), languages: Sequence[str] = ()
    ) -> Survey:
        """Every table that a source has, in the order of the catalogue.

        Args:
            catalogue: all datasets.
            source: where the data are.
            datasets: names of the datasets to check; all by default. Rules between datasets need both.
            languages: languages to check; all by default.

        Raises:
            UserError: no such dataset, or a dataset without a contract.
        """
        entries = [catalogue.dataset(name) for name in datasets or catalogue.datasets]
        wanted = [
            (dataset, split, language, source.locate(dataset, language, split.name))
            for dataset in entries
            for split in dataset.splits.values()
            for language in source.languages(dataset, split.name)
            if not languages or language in languages
        ]
        contracts = {dataset.name: contract_of(dataset)[0] for dataset in entries}
        formats = {dataset.name: dataset.format for dataset in entries}
        return cls(contracts=contracts, formats=formats, wanted=wanted, source=source)

    def run(self, executor: Executor, listen: Callable[[str], None] = lambda words: None) -> list[Table]:
        """Reads and checks the tables, as many side by side as the executor has workers.

        A table that cannot be read, or that violates a rule, stops nothing but the rules across tables that need it.

        Args:
            executor: of a home.
            listen: told in words how far it is.
        """
        listen(f"{len(self.wanted)} tables to check")
        tables: list[Table] = []
        threads = ThreadPoolExecutor(_MOST_WORKERS)
        try:
            for table in threads.map(lambda each: self._checked(executor, *each), self.wanted):
                tables.append(table)
                listen(
                    f"{len(tables)} of {len(self.wanted)} tables checked: {table.dataset} {table.split} {table.language}"
                )
            listen("comparing the tables with one another")
            for found in threads.map(lambda group: self._compared(executor, group), self._groups(tables)):
                for table in tables:
                    table.rules += found.get(f"{table.dataset}/{table.language}/{table.split}", ())
        finally:
            threads.shutdown(wait=False, cancel_futures=True)  # an interruption does not wait for what is being done
        executor.save()
        _tokenisations(tables)
        return tables

    def _checked(self, executor: Executor, dataset: Dataset, split: Split, language: str, located: Located) -> Table:
        """Prepares and checks a table; for one that cannot be read, says why."""
        root = getattr(self.source, "path", None)
        table = Table(
            dataset=dataset.name,
            language=language,
            split=split.name,
            use=split.use,
            files=[
                str(path.relative_to(root) if root and path.is_relative_to(root) else path)
                for path in located.files.values()
            ],
            stand_in=located.stand_in,
            notes=[located.notes] if located.notes else [],
        )
        prepare = prepare_stage(dataset, language, split, located, limit=None)
        try:
            made = executor.execute(prepare, {}, _silent)
        except (UserError, StageFailed) as error:
            table.rules = [{"rule": "readable", "ok": False, "severity": "error", "count": 1, "first_ids": [],
                            "error": str(error)}]  # fmt: skip
            return table
        table.prepared = prepare.name, made.key
        table.folder = executor.store.artifact(made.digest)
        table.counts = _json(executor, made, "counts.json")
        if table.counts.get("repeated_ids"):
            table.notes.append(f"{table.counts['repeated_ids']} rows share their id in the file with another row")
        check = check_stage(prepare, dataset, source=self.source.kind)
        judged = executor.execute(replace(check, gates=""), dict([table.prepared]), _silent)
        table.rules = _json(executor, judged, "outcome.json")["rules"]
        return table

    def _groups(self, tables: Sequence[Table]) -> list[list[Table]]:
        """The readable tables of each dataset, together with those of datasets that have ids of the same originals."""
        groups: dict[str, list[Table]] = {}
        for table in tables:
            if table.prepared is not None:
                originals = self.contracts[table.dataset].originals
                groups.setdefault(f"originals {originals}" if originals else table.dataset, []).append(table)
        return [group for group in groups.values() if len(group) > 1]

    def _compared(self, executor: Executor, group: Sequence[Table]) -> Mapping[str, list[dict[str, Any]]]:
        """What the rules across tables find in a group."""
        made = {f"{table.dataset}/{table.language}/{table.split}": table.prepared for table in group if table.prepared}
        names = sorted({table.dataset for table in group})
        stage = Stage(
            of=CHECK,
            name=f"check[across | {' '.join(names)}]",
            function="xtreme_dag.contracts.across:across",
            params={
                "tables": [[table.dataset, table.language, table.split, table.use] for table in group],
                "datasets": {name: {"format": self.formats[name], **self._between(name)} for name in names},
                "left_out": {
                    f"{table.dataset}/{table.language}/{table.split}": sorted(set().union(*left.values()))
                    for table in group
                    if self.contracts[table.dataset].parallel and (left := table.counts.get("left_out"))
                },
            },
            inputs={name: Output(stage=stage, part="table.parquet") for name, (stage, _) in made.items()},
        )
        result = executor.execute(stage, dict(made.values()), _silent)
        found: Mapping[str, list[dict[str, Any]]] = _json(executor, result, "findings.json")
        return found

    def _between(self, dataset: str) -> dict[str, Any]:
        """What a contract says of the tables of its dataset among themselves."""
        return {name: getattr(self.contracts[dataset], name) for name in ("parallel", "same_labels", "overlap")}


@contextmanager
def workers(home: Home, tables: int) -> Iterator[Executor]:
    """What runs a survey of some number of tables; the processes end with the block.

    Raises:
        UserError: the home cannot be written.
    """
    size = max(1, min(_MOST_WORKERS, len(os.sched_getaffinity(0)), tables // _TABLES_WORTH_A_WORKER))
    with WorkerPool(size, home.ensure().logs) as pool:
        yield Executor(home, _STUDY, pool)


def _json(executor: Executor, result: Result, name: str) -> Any:
    """A JSON file of an artifact."""
    return json.loads((executor.store.artifact(result.digest) / name).read_text(encoding="utf-8"))


def _silent(event: Mapping[str, Any]) -> None:
    """Stages of a survey are short: that they end is progress enough."""


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
