"""Which stage runs next, of those that can: the one with the longest chain of work behind it.

Where a study has fewer workers than stages, the order decides how long it takes: a long training that starts last runs
alone at the end. Going down the longest chain first (Graham 1969, Bounds on multiprocessing timing anomalies) leaves
the many short stages to fill the gaps.
"""

from __future__ import annotations

import heapq
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from xtreme_dag.engine.graph import Graph


def urgency(graph: Graph, taken: Mapping[str, float]) -> dict[str, float]:
    """Seconds of the longest chain of stages that begins with each stage.

    Args:
        graph: the stages.
        taken: stage name -> seconds that it took before. Others count as the median of their kind, or what
            the kind says; so do stages that nothing waits for: their order does not matter, and stages of one model stay together.
    """
    usual = _usual(graph, taken)
    after: dict[str, float] = {}
    found: dict[str, float] = {}
    for stage in reversed(list(graph)):
        own = taken.get(stage.name, usual[stage.kind]) if stage.name in after else usual[stage.kind]
        found[stage.name] = own + after.get(stage.name, 0.0)
        for parent in stage.parents:
            after[parent] = max(after.get(parent, 0.0), found[stage.name])
    return found


def expected(graph: Graph, taken: Mapping[str, float]) -> dict[str, float]:
    """Seconds that each stage is expected to take; see `urgency`."""
    usual = _usual(graph, taken)
    return {stage.name: taken.get(stage.name, usual[stage.kind]) for stage in graph}


def _usual(graph: Graph, taken: Mapping[str, float]) -> dict[str, float]:
    """Kind -> the median of what its stages took, or what the kind says."""
    of_kind: dict[str, list[float]] = defaultdict(list)
    for stage in graph:
        if stage.name in taken:
            of_kind[stage.kind].append(taken[stage.name])
    usual = {stage.kind: stage.of.seconds for stage in graph}
    return usual | {kind: statistics.median(seconds) for kind, seconds in of_kind.items()}


class Agenda:
    """The stages that may start: all that they need is settled, one way or another."""

    def __init__(self, graph: Graph, urgency: Mapping[str, float], settled: Iterable[str] = ()) -> None:
        """Begins with what is settled already; the stages of `graph` that are not will be on it in time."""
        done = frozenset(settled)
        self._rank = {stage.name: (-urgency[stage.name], place) for place, stage in enumerate(graph)}
        self._needs: dict[str, set[str]] = {}
        self._children: dict[str, list[str]] = defaultdict(list)
        self._ready: list[tuple[tuple[float, int], str]] = []
        for stage in graph:
            if stage.name in done:
                continue
            self._needs[stage.name] = {parent for parent in stage.parents if parent not in done}
            for parent in self._needs[stage.name]:
                self._children[parent].append(stage.name)
            self._offer(stage.name)

    def __bool__(self) -> bool:
        """Whether a stage may start now."""
        return bool(self._ready)

    def take(self, fits: Callable[[str], bool] = lambda name: True) -> str:
        """The most urgent stage that may start and fits, empty if none does; among equals, the first of the graph."""
        aside, found = [], ""
        while self._ready and not found:
            entry = heapq.heappop(self._ready)
            if fits(entry[1]):
                found = entry[1]
            else:
                aside.append(entry)
        for entry in aside:
            heapq.heappush(self._ready, entry)
        return found

    def settle(self, name: str) -> None:
        """Says that a stage is finished, or never will be."""
        for child in self._children.pop(name, ()):
            self._needs[child].discard(name)
            self._offer(child)

    def _offer(self, name: str) -> None:
        if not self._needs[name]:
            heapq.heappush(self._ready, (self._rank[name], name))
