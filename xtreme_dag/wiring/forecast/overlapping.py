"""What a plan says of tables that have examples in common: what audits found, and where they have yet to look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xtreme_dag.contracts.shared import Shared, shared_in
from xtreme_dag.engine.graph import Graph
from xtreme_dag.study.data_settings import Overlap
from xtreme_dag.wiring.forecast.sizes import Sizes
from xtreme_dag.wiring.kinds import AUDIT
from xtreme_dag.wiring.overlaps import called
from xtreme_dag.wiring.supervision import SAME_ITEMS


def found_overlaps(graph: Graph, sizes: Sizes) -> list[Shared]:
    """What the audits that are cached found."""
    told = (sizes.said(stage.name, "overlap.json") for stage in graph if stage.of is AUDIT)
    return [one for content in told if content is not None for one in shared_in(content)]


def overlap_lines(graph: Graph, sizes: Sizes, allowed: Sequence[Overlap]) -> Iterator[str]:
    """Leaks, those that the study allows, tables of the same items that no audit has seen, permissions for nothing."""
    yield from (one.in_words() for one in found_overlaps(graph, sizes) if one.leak)
    audits = [stage for stage in graph if stage.of is AUDIT]
    for stage in audits:
        seen = stage.params["seen"]
        alike = [one for one in stage.params["tested"] if one["dataset"] != seen["dataset"]
                 and one["language"] == seen["language"] and {one["dataset"], seen["dataset"]} in SAME_ITEMS]  # fmt: skip
        if alike and sizes.artifact(stage.name, "overlap.json") is None:
            yield (
                f"{called(seen)} and {', '.join(map(called, alike))} are made of the same items: {stage.name} looks "
                "before anything trains, `xtreme-dag audit STUDY` now"
            )
    pairs = [(called(stage.params["seen"]), called(one)) for stage in audits for one in stage.params["tested"]]
    for entry in allowed:
        if not any(entry.holds(*pair) for pair in pairs):
            yield f"data.allow_overlap: {entry.seen} is not held against {entry.tested} in this study"
