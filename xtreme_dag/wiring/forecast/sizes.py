"""Numbers of examples and tokens of tables: counted in the store, else published, else assumed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xtreme_dag.catalogue.published import published_count
from xtreme_dag.engine.graph import Graph, Output, Stage
from xtreme_dag.engine.plan import Plan
from xtreme_dag.engine.store import Store
from xtreme_dag.heads import head_of
from xtreme_dag.wiring.kinds import PREPARE

# Assumed mean length of the sequences of a table that is not encoded yet, as a share of the maximal length.
FILL = 0.5


@dataclass(frozen=True, kw_only=True)
class Size:
    """The size of an encoded table.

    Attributes:
        examples: number of examples; None if unknown.
        mean: tokens of an example, all its sequences and special tokens included.
        counted: True if both were read from the encoded table, False if they are published or assumed.
    """

    examples: int | None
    mean: float
    counted: bool = False

    @property
    def tokens(self) -> int | None:
        """Number of tokens; None if unknown."""
        return None if self.examples is None else round(self.examples * self.mean)


def total(values: Iterable[int | None]) -> int | None:
    """The sum; None if a summand is unknown."""
    found = list(values)
    return None if None in found else sum(value for value in found if value is not None)


class Sizes:
    """Sizes of the encoded tables of a plan.

    Args:
        graph: the study's graph.
        plan: what of it is in the store.
        store: the store.
    """

    def __init__(self, graph: Graph, plan: Plan, store: Store) -> None:
        self._graph = graph
        self._plan = plan
        self._store = store
        self._known: dict[str, Size] = {}
        self._said: dict[tuple[str, str], dict[str, Any] | None] = {}

    def artifact(self, stage: str, file: str) -> Path | None:
        """A file of a stage's artifact, if the stage is cached."""
        planned = self._plan.by_name.get(stage)
        if planned is None or not planned.digest:
            return None
        path = self._store.artifact(planned.digest) / file
        return path if path.is_file() else None

    def said(self, stage: str, file: str) -> dict[str, Any] | None:
        """What a JSON file of a stage's artifact says, if the stage is cached.

        Raises:
            UserError: the file is damaged.
        """
        if (stage, file) not in self._said:
            there = self.artifact(stage, file) is not None
            record = self._plan.by_name[stage].record if there else None
            self._said[stage, file] = None if record is None else self._store.said(record, file)
        return self._said[stage, file]

    def of(self, name: str) -> Size:
        """The size of an `encode` stage's table."""
        if name not in self._known:
            self._known[name] = self._look(self._graph[name])
        return self._known[name]

    def _look(self, stage: Stage) -> Size:
        info = self.said(stage.name, "encode.json")
        if info is not None:
            return Size(examples=info["examples"], mean=info["tokens"] / max(1, info["examples"]), counted=True)
        sequences = head_of(stage.params["head"]).sequences_per_example
        mean = sequences * int(stage.params.get("max_length", 128)) * FILL
        return Size(examples=self._least(self.rows(stage), stage.params.get("limit")), mean=mean)

    def rows(self, stage: Stage) -> int | None:
        """Rows of the table that a stage reads or writes: counted, generated, published, or None."""
        table = stage.inputs.get("table")
        counts = self.said(stage.name, "counts.json") if stage.of is PREPARE else None
        if counts is not None:
            return int(counts["rows"])
        if isinstance(table, Output):  # text made from another table: assumed to have as many rows
            return self._narrowed(stage, self.rows(self._graph[table.stage]))
        params = stage.params
        options: dict[str, Any] = params.get("options", {})
        if params.get("reader") == "miniworld":
            return self._least(options["rows"], params.get("limit"))
        stand_in = params.get("whole") is False
        published = None if stand_in else published_count(params["dataset"], params["split"], params["language"])
        return self._least(published, params.get("limit"))

    def _narrowed(self, stage: Stage, rows: int | None) -> int | None:
        if stage.params.get("chunks"):
            return int(stage.params["chunks"])
        return self._least(rows, stage.params.get("rows"))

    @staticmethod
    def _least(rows: int | None, limit: Any) -> int | None:
        known = [int(value) for value in (rows, limit) if value is not None]
        return min(known) if known else None
