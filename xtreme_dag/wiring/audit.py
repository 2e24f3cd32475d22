"""Audits of what trained models have seen: by their lineage in the store, and by the content of a study's tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
