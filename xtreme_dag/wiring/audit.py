"""Audits of what trained models have seen: by their lineage in the store, and by the content of a study's tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.core.home import Home
from xtreme_dag.engine.graph import Graph
from xtreme_dag.engine.store import Record, Store
from xtreme_dag.wiring.kinds import AUDIT, KINDS, PREPARE

_MODELS = frozenset(name for name, kind in KINDS.items() if kind.trains)


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What the audit found.

    Attributes:
        models: number of trained models in the store.
        tables: number of distinct tables behind them.
        tainted: a sentence for each model that depends on a test table.
        unknown: models part of whose lineage is not in the store.
    """

    models: int
    tables: int
    tainted: tuple[str, ...]
    unknown: tuple[str, ...]


def audit(home: Home) -> Audit:
    """Follows the inputs of every trained model in the store, through all stages, to the tables that it saw."""
    store = Store(home.store)
    records = {record.key: record for record in store.records()}
    tables: set[str] = set()
    tainted, unknown = [], []
    models = [record for record in records.values() if record.manifest["kind"] in _MODELS]
    for model in models:
        lineage, missing = _ancestors(model, records)
        if missing:
            unknown.append(f"{model.manifest['name']}: {len(missing)} of its inputs are not in the store")
        for ancestor in lineage:
            if ancestor.manifest["kind"] != PREPARE.name:
                continue
            tables.add(ancestor.key)
            if _use(ancestor.manifest["params"]) == "test":
                tainted.append(f"{model.manifest['name']} was trained or selected on {ancestor.manifest['name']}")
    return Audit(models=len(models), tables=len(tables), tainted=tuple(tainted), unknown=tuple(unknown))


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Examples of a table that another one has, which should be new to it.

    Attributes:
        seen: what is trained or selected on: `dataset/language/split`.
        seen_for: `train` or `select`.
        tested: what is tested, or selected on.
        examples: how many examples that has.
        found: how many of them the seen table has.
        share: of those that say something (see `contracts.overlap`).
        by: how they were found -> number.
        first_ids: pairs of ids: of the tested table, and of the seen one.
        leak: more than recurs by chance.
        allowed: the reason for which the study allows it; empty if it does not.
    """

    seen: str
    seen_for: str
    tested: str
    examples: int
    found: int
    share: float
    by: Mapping[str, int]
    first_ids: Sequence[Sequence[str]]
    leak: bool
    allowed: str = ""

    @property
    def stops(self) -> bool:
        """Whether what reads the seen table must not run."""
        return self.leak and not self.allowed

    def in_words(self) -> str:
        """The finding in a line."""
        how = ", ".join(f"{count:,} by {_HOW[name]}" for name, count in self.by.items())
        verdict = "LEAK" if self.stops else "allowed" if self.leak else "few"
        first = f", such as {' = '.join(dict.fromkeys(self.first_ids[0]))}" if self.first_ids else ""
        why = f"; allowed: {self.allowed}" if self.leak and self.allowed else ""
        return (
            f"{verdict}: {self.found:,} of {self.examples:,} examples of {self.tested} are in {self.seen} ({how}{first}){why}"
        )


_HOW = {"text": "text", "id": "id", "number": "number, label and length", "near": "near duplicate"}


def shared_in(artifact: Path) -> list[Shared]:
    """What the artifact of an `audit` stage says.

    Raises:
        OSError, ValueError, KeyError: it is damaged.
    """
    content = json.loads((artifact / "overlap.json").read_bytes())
    return [
        Shared(
            seen=content["seen"],
            seen_for=content["use"],
            **{name: one[name] for name in ("tested", "examples", "found", "share", "by", "first_ids", "leak")},
            allowed=one["allowed"] or "",
        )
        for one in content["findings"]
    ]


def audits(graph: Graph) -> Graph:
    """The part of a study's graph that looks at the content of its tables, without any training."""
    return graph.part({stage.name for stage in graph if stage.of is AUDIT})


def _ancestors(record: Record, records: Mapping[str, Record]) -> tuple[list[Record], list[str]]:
    found: dict[str, Record] = {}
    missing: list[str] = []
    waiting = [record]
    while waiting:
        for entry in waiting.pop().manifest["inputs"].values():
            key = entry.get("key")
            if key is None or key in found:
                continue
            if key in records:
                found[key] = records[key]
                waiting.append(records[key])
            else:
                missing.append(key)
    return list(found.values()), missing


def _use(params: Mapping[str, str]) -> str:
    return load_catalogue().dataset(params["dataset"]).split(params["split"]).use
