"""All families of metrics by name, for statistics over any task (bootstrap, slices).

A stage that scores one task names its family directly, so that a repaired metric re-runs only the stages that use it.
"""

from __future__ import annotations

from collections.abc import Mapping

from xtreme_dag.scoring import accuracy, dialogue, mining, overlap, ranking, squad_v2, tagging
from xtreme_dag.scoring.columns import Family, FloatArray, Sums

FAMILIES: Mapping[str, Family] = {
    "accuracy": accuracy.FAMILY,
    "tagging": tagging.FAMILY,
    "mining": mining.FAMILY,
    "answers": overlap.FAMILY,
    "answers_v2": squad_v2.FAMILY,
    "dialogue": dialogue.FAMILY,
    "ranking": ranking.FAMILY,
    "ranking_full": ranking.FAMILY_UNCUT,
}


def values(family: str, sums: Sums) -> dict[str, FloatArray]:
    """Every figure of a family from sums, each () or (resamples,)."""
    return {metric.name: metric.combine(sums) for metric in FAMILIES[family].metrics}
