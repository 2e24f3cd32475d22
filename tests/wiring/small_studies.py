"""A small study of the miniworld, run without a server, and what its artifacts say."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from xtreme_dag.core.home import Home
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.graph import Graph
from xtreme_dag.engine.local import run_local
from xtreme_dag.engine.pool import WorkerPool
from xtreme_dag.engine.store import Store
from xtreme_dag.study.file import Study, read_study
from xtreme_dag.tables.canonical import read_table
from xtreme_dag.wiring.build import build

LANGUAGES = ["en", "qaa", "qac", "qag"]


def small(conditions: dict[str, Any], *, baseline: str | None = None, **more: Any) -> Study:
    """A study with these conditions, over tables of a few dozen rows and a model of two steps."""
    document = {
        "study": "small",
        "data": {"miniworld": {"languages": LANGUAGES, "train": 80, "select": 12, "test": 8}, "contracts": False},
        "model": {"pretrain": {"kind": "planted", "steps": 2, "sentences": 20}},
        "seeds": [1],
        "languages": ["en", "qaa"],
        "intermediate": conditions,
        "targets": ["xnli"],
        "recipe": {"name": "quick", "intermediate": {"default": {"epochs": 1}}, "target": {"default": {"epochs": 1}}},
        "compare": {"baseline": baseline or next(iter(conditions))},
    }
    return read_study({**document, **more})


def mixture(*components: dict[str, Any], budget: Any = 40, **more: Any) -> dict[str, Any]:
    """A condition; a number is a budget in examples."""
    return {"mixture": list(components), "budget": {"examples": budget} if isinstance(budget, int) else budget, **more}


class Bench:
    """A home in which parts of studies are run."""

    def __init__(self, home: Home, pool: WorkerPool) -> None:
        self.home = home
        self._pool = pool
        self.executed: list[str] = []

    def run(self, study: Study, *kinds: str) -> Graph:
        """Runs all stages of these kinds with what they need; every one must succeed."""
        whole = build(study).graph
        needed = whole.ancestors({stage.name for stage in whole if stage.kind in kinds})
        graph = Graph()
        for stage in whole:
            if stage.name in needed:
                graph.add(stage)
        executor = Executor(self.home, study.study, self._pool)
        outcomes = run_local(graph, executor)
        failures = {name: executor.failure(graph[name]) for name, outcome in outcomes.items() if outcome == "failed"}
        assert not failures, failures
        self.executed = [name for name, outcome in outcomes.items() if outcome == "succeeded"]
        self.keys = dict(executor.known)
        return graph

    def outcomes(self, study: Study, graph: Graph) -> dict[str, str]:
        """Runs a graph whose stages may fail; stage -> its outcome."""
        executor = Executor(self.home, study.study, self._pool)
        outcomes = run_local(graph, executor)
        self.keys = dict(executor.known)
        return outcomes

    def artifact(self, name: str) -> Path:
        """The artifact of a stage of the last run."""
        store = Store(self.home.store)
        record = store.read(self.keys[name])
        assert record is not None
        return store.artifact(record.digest)

    def report(self, name: str) -> dict[str, Any]:
        """What a trained model says of its training."""
        return json.loads((self.artifact(name) / "training.json").read_text())

    def drawn(self, name: str) -> list[dict[str, str]]:
        """The rows that a model was trained on, in their order."""
        return pq.read_table(self.artifact(name) / "drawn.parquet").to_pylist()

    def counts(self, name: str) -> Counter[tuple[str, str, str]]:
        """(task, dataset, language) -> drawn rows."""
        return Counter((row["task"], row["dataset"], row["language"]) for row in self.drawn(name))

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of a canonical table."""
        return read_table(self.artifact(name)).to_pylist()


def ids_by_language(rows: Iterable[dict[str, str]]) -> dict[str, set[str]]:
    """Language -> ids."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        found[row["language"]].add(row["id"])
    return found
