"""Ranked candidates against gold sets: Mewsli-X (one gold entity) and LAReQA (a gold sentence per language)."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from xtreme_dag.scoring.columns import Family, FloatArray, ratio

CUT_OFF = 20
"""XTREME-R evaluates the first 20 candidates (utils_mewslix.TOP_K; LAReQA's mAP@20)."""

FAMILY = Family(
    metrics=(ratio("map@20", "s_ap"), ratio("mrr@20", "s_rr"), ratio("accuracy@1", "s_correct")), primary="map@20"
)
FAMILY_UNCUT = Family(metrics=(*FAMILY.metrics, ratio("map", "s_ap_full")), primary=FAMILY.primary)
"""With the average precision over all candidates, where all ranks are known."""


def statistics(
    gold: Sequence[Collection[Hashable]], ranked: Sequence[Sequence[Hashable]], cut_off: int = CUT_OFF
) -> dict[str, FloatArray]:
    """Scores lists of candidates, the best first.

    A candidate that stands twice in a list counts at its first place only; its repetition still takes a rank.

    Args:
        gold: the right candidates of each query, at least one each.
        ranked: candidates of each query; empty where a query was left out, which scores 0.
        cut_off: how many candidates count.

    Returns:
        `s_rr` (reciprocal rank of the first right candidate), `s_ap` (average precision, divided by the smaller of
        the number of right candidates and `cut_off`) and `s_correct` (the first candidate is right), each (queries,).

    Raises:
        ValueError: different lengths, or a query without a gold candidate.
    """
    if len(gold) != len(ranked):
        raise ValueError(f"{len(ranked)} rankings for {len(gold)} queries")
    scores = np.zeros((len(gold), 3))
    for row, (right, candidates) in enumerate(zip(gold, ranked, strict=True)):
        if not right:
            raise ValueError("a query without a right candidate cannot be scored")
        ranks = list(_ranks(right, candidates[:cut_off]))
        if ranks:
            precision = sum(hits / rank for hits, rank in enumerate(ranks, start=1))
            scores[row] = 1.0 / ranks[0], precision / min(len(right), cut_off), float(ranks[0] == 1)
    return {"s_rr": scores[:, 0].copy(), "s_ap": scores[:, 1].copy(), "s_correct": scores[:, 2].copy()}


def statistics_from_ranks(
    ranks: NDArray[np.int64], owner: NDArray[np.intp], queries: int, cut_off: int = CUT_OFF
) -> dict[str, FloatArray]:
    """The same from the ranks of all gold candidates, and `s_ap_full`, average precision without a cut-off.

    Args:
        ranks: rank (from 1) of each gold candidate among all candidates, (gold candidates,).
        owner: the query of each gold candidate, (gold candidates,); every query owns at least one.
        queries: how many queries there are.
        cut_off: how many candidates count for all but `s_ap_full`.

    Returns:
        `s_rr`, `s_ap`, `s_correct`, `s_ap_full`, each (queries,).

    Raises:
        ValueError: a query without a gold candidate.
    """
    sizes = np.bincount(owner, minlength=queries)
    if queries and not sizes.all():
        raise ValueError(f"query {int(np.argmin(sizes))} has no right candidate")
    order = np.lexsort((ranks, owner))
    rank, query = ranks[order], owner[order]
    first = np.cumsum(sizes) - sizes
    # How many right candidates stand at or before this one.
    hits = np.arange(len(rank)) - first[query] + 1
    precision = hits / rank
    cut = np.where(rank <= cut_off, precision, 0.0)
    best = rank[first] if queries else np.zeros(0, dtype=np.int64)
    return {
        "s_rr": np.where(best <= cut_off, 1.0 / np.maximum(best, 1), 0.0),
        "s_ap": np.bincount(query, weights=cut, minlength=queries) / np.minimum(sizes, cut_off),
        "s_correct": (best == 1).astype(np.float64),
        "s_ap_full": np.bincount(query, weights=precision, minlength=queries) / sizes,
    }


def _ranks(right: Collection[Hashable], candidates: Sequence[Hashable]) -> Iterator[int]:
    """Ranks of the right candidates, each at its first place."""
    seen = set()
    for rank, candidate in enumerate(candidates, start=1):
        if candidate in right and candidate not in seen:
            seen.add(candidate)
            yield rank
