"""Tables of a source against their contract, without a study."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from xtreme_dag.catalogue.catalogue import Dataset, Split
from xtreme_dag.catalogue.sources import Located
from xtreme_dag.contracts.check import Case, facts, judge_many
from xtreme_dag.contracts.cross import Sketch, sketch
from xtreme_dag.contracts.odcs import Contract
from xtreme_dag.core.errors import UserError
from xtreme_dag.data.prepare.prepare import canonical

# Rows, of several tables, that are held before they are judged.
_HELD = 1 << 17


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
class Read:
    """A table that has been read.

    Attributes:
        table: what was found.
        sketch: what the rules across tables need; None for a table that cannot be read.
        case: what its check needs; likewise.
    """

    table: Table
    sketch: Sketch | None = None
    case: Case | None = None

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return 0 if self.case is None else len(self.case[0])


Wanted: TypeAlias = tuple[str, Split, Located]  # language, split, where the table is


def read_tables(dataset: Dataset, contract: Contract, wanted: Sequence[Wanted], root: Path | None) -> list[Read]:
    """The first of some tables of a dataset, as many as may be held; the arguments are those of `check_tables`."""
    tables = (_read(dataset, *each, contract, root) for each in wanted)
    return next(_held(tables), [])


def check_tables(
    dataset: Dataset, contract: Contract, wanted: Sequence[Wanted], root: Path | None, ahead: Sequence[Read] = ()
) -> list[tuple[Table, Sketch | None]]:
    """Reads tables of a dataset and holds them against its contract.

    Args:
        dataset: the catalogue's entry.
        contract: the dataset's.
        wanted: which tables.
        root: the source's folder, where it is one.
        ahead: the first of them, from `read_tables`; they are not read again.

    Returns:
        For each, what was found, and what the rules across tables need; None for a table that cannot be read.
    """
    done: list[tuple[Table, Sketch | None]] = []
    rest = (_read(dataset, *each, contract, root) for each in wanted[len(ahead) :])
    for held in _held(chain(ahead, rest)):
        readable = [(one.table, one.case) for one in held if one.case is not None]
        outcomes = judge_many(contract, [case for _, case in readable])
        for (table, _), (outcome, _) in zip(readable, outcomes, strict=True):
            table.rules = outcome["rules"]
        done += [(one.table, one.sketch) for one in held]
    return done


def _held(tables: Iterable[Read]) -> Iterator[list[Read]]:
    """Neighbouring tables, as many as may be held at a time."""
    held: list[Read] = []
    for table in tables:
        held.append(table)
        if sum(each.rows for each in held) >= _HELD:
            yield held
            held = []
    if held:
        yield held


def _read(
    dataset: Dataset, language: str, split: Split, located: Located, contract: Contract, root: Path | None
) -> Read:
    """A table, not yet judged; for one that cannot be read, why."""
    found = Table(
        dataset=dataset.name,
        language=language,
        split=split.name,
        use=split.use,
        files=[str(path.relative_to(root)) if root else str(path) for path in located.files.values()],
        stand_in=located.stand_in,
        notes=[located.notes] if located.notes else [],
    )
    params = prepare_params(dataset, language, split, located)
    try:
        rows, found.counts = canonical(params, located.files, located.options)
    except UserError as error:
        found.rules = [{"rule": "readable", "ok": False, "severity": "error", "count": 1, "first_ids": [],
                        "error": str(error)}]  # fmt: skip
        return Read(table=found)
    if found.counts.get("repeated_ids"):
        found.notes.append(f"{found.counts['repeated_ids']} rows share their id in the file with another row")
    return Read(
        table=found,
        sketch=sketch(rows, dataset.format, language),
        case=(rows, facts(params, found.counts, contract), params),
    )


def prepare_params(dataset: Dataset, language: str, split: Split, located: Located) -> dict[str, Any]:
    """The parameters with which a whole table is read."""
    return {
        **located.params,
        "dataset": dataset.name,
        "language": language,
        "split": split.name,
        "format": dataset.format,
        "labels": list(dataset.labels),
        "limit": None,
    }
