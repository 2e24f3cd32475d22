"""A task's figures on the data and on resamples of it, for both sides of a comparison and every seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xtreme_dag.results.inference import Spread, mcnemar, smallest_error, spread
from xtreme_dag.results.pairs import Leaf, Metric
from xtreme_dag.results.resample import generator, resampled_sums

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
_SHARE_FROM = 1000


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Figures of condition (0) and baseline (1), in points.

    Attributes:
        seeds: the seeds that both sides have.
        observed: on the data (2, seeds).
        resampled: on resampled examples (2, resamples, seeds).
        n: number of examples.
        floor: smallest credible standard error of the difference.
        dropped: examples that not every run has.
        mcnemar: exact p of an accuracy in one language; None otherwise.
    """

    seeds: tuple[int, ...]
    observed: Floats
    resampled: Floats
    n: int
    floor: float
    dropped: int
    mcnemar: float | None = None

    @property
    def spread(self) -> Spread:
        """The difference and where its variance comes from."""
        return spread(self.observed, self.resampled, self.n, self.floor)

    def only(self, seeds: Sequence[int]) -> Draws:
        """The figures of some of the seeds."""
        places = [self.seeds.index(seed) for seed in seeds]
        return Draws(
            seeds=tuple(seeds),
            observed=self.observed[:, places],
            resampled=self.resampled[:, :, places],
            n=self.n,
            floor=self.floor,
            dropped=self.dropped,
        )


def draw(leaves: Sequence[Leaf], metric: Metric, *, resamples: int, seed: int, task: str) -> dict[str, Draws]:
    """Figures of each language of a task.

    Examples that several languages share (parallel test sets have the same ids) are drawn together, since what is
    hard in one language is hard in the others: languages drawn apart would make the mean over languages look surer
    than it is. Where nothing is shared, large languages of equal size use the same draws, to save time: rows that
    have nothing to do with each other stay uncorrelated but for chance of the order of 1/sqrt(n).

    Args:
        leaves: the paired predictions, one leaf per language.
        metric: what is computed.
        resamples: number of resamples.
        seed: seed of the resampling.
        task: name of the task; it has draws of its own.
    """
    found: dict[str, Draws] = {}
    for group, rows, total in _groups(leaves):
        blocks = [_placed(leaf, row, total) for leaf, row in zip(group, rows, strict=True)]
        sums = resampled_sums(np.concatenate(blocks, axis=1), resamples, generator(seed, task, group[0].language))
        ends = np.cumsum([block.shape[1] for block in blocks])
        for leaf, part in zip(group, np.split(sums, ends[:-1], axis=1), strict=True):
            found[leaf.language] = _figures(leaf, metric, part)
    return {leaf.language: found[leaf.language] for leaf in leaves}


def mean_of(draws: Sequence[Draws]) -> Draws:
    """The unweighted mean of several figures, resample by resample, over the seeds that all of them have.

    Where no seed is common to all, each figure's mean over its seeds stands for one run.
    """
    seeds = [seed for seed in draws[0].seeds if all(seed in other.seeds for other in draws)]
    same = [one.only(seeds) if seeds else _one_run(one) for one in draws]
    return Draws(
        seeds=same[0].seeds,
        observed=np.mean([one.observed for one in same], axis=0),
        resampled=np.mean([one.resampled for one in same], axis=0),
        n=sum(one.n for one in same),
        floor=float(np.sqrt(sum(one.floor**2 for one in same))) / len(same),
        dropped=sum(one.dropped for one in same),
    )


def _one_run(draws: Draws) -> Draws:
    return Draws(
        seeds=(-1,),
        observed=draws.observed.mean(axis=1, keepdims=True),
        resampled=draws.resampled.mean(axis=2, keepdims=True),
        n=draws.n,
        floor=draws.floor,
        dropped=draws.dropped,
    )


Group = tuple[list[Leaf], list[NDArray[np.int64] | None], int]
"""Leaves that are drawn together, the row of each of their examples (None: in order), and the number of rows."""


def _groups(leaves: Sequence[Leaf]) -> list[Group]:
    if all(leaf.ids.equals(leaves[0].ids) for leaf in leaves):
        return [(list(leaves), [None] * len(leaves), leaves[0].n)]
    codes, total = _codes([leaf.ids for leaf in leaves])
    if total < sum(leaf.n for leaf in leaves):
        return [(list(leaves), list(codes), total)]
    alone: list[Group] = [([leaf], [None], leaf.n) for leaf in leaves if leaf.n < _SHARE_FROM]
    by_size: dict[int, list[Leaf]] = {}
    for leaf in leaves:
        if leaf.n >= _SHARE_FROM:
            by_size.setdefault(leaf.n, []).append(leaf)
    return alone + [(group, [None] * len(group), n) for n, group in by_size.items()]


def _codes(ids: Sequence[pa.Array]) -> tuple[list[NDArray[np.int64]], int]:
    """For each array of ids the number of each id among all that occur, and how many occur."""
    import pyarrow as pa

    encoded = pa.concat_arrays(list(ids)).dictionary_encode()
    codes = encoded.indices.to_numpy().astype(np.int64)
    return np.split(codes, np.cumsum([len(array) for array in ids])[:-1]), len(encoded.dictionary)


def _placed(leaf: Leaf, rows: NDArray[np.int64] | None, total: int) -> NDArray[np.float32]:
    """A leaf's statistics and a column of ones, on the rows that are drawn (zero where it has no example)."""
    block = np.concatenate([*leaf.columns.values(), np.ones((leaf.n, 1), np.float32)], axis=1)
    if rows is None:
        return block
    placed = np.zeros((total, block.shape[1]), dtype=np.float32)
    placed[rows] = block
    return placed


def _figures(leaf: Leaf, metric: Metric, sums: Floats) -> Draws:
    """The metric of each side and seed, from sums of its columns (resamples, runs x columns + 1)."""
    seeds = tuple(seed for side, seed in leaf.columns if side == "condition")
    shape = (2, len(seeds), len(metric.columns))
    whole = np.stack([block.sum(axis=0, dtype=np.float64) for block in leaf.columns.values()]).reshape(shape)
    parts = sums[:, :-1].reshape(-1, *shape)
    drawn = sums[:, -1].reshape(-1, 1, 1)  # how many of the leaf's examples are in the resample
    observed = metric.combine(
        {**{name: whole[..., place] for place, name in enumerate(metric.columns)}, "n": np.full(shape[:2], leaf.n)}
    )
    resampled = metric.combine(
        {
            **{name: parts[..., place] for place, name in enumerate(metric.columns)},
            "n": np.broadcast_to(drawn, parts.shape[:3]),
        }
    )
    return Draws(
        seeds=seeds,
        observed=np.asarray(observed, dtype=np.float64),
        resampled=np.moveaxis(np.asarray(resampled, dtype=np.float64), 0, 1),
        n=leaf.n,
        floor=smallest_error(leaf.n),
        dropped=leaf.dropped,
        mcnemar=_exact(leaf, len(seeds)) if metric.name == "accuracy" else None,
    )


def _exact(leaf: Leaf, seeds: int) -> float:
    """McNemar's exact p; with several seeds an example counts for the side that got it right in more of them."""
    blocks = [block[:, 0] for block in leaf.columns.values()]
    net = np.sum(blocks[:seeds], axis=0) - np.sum(blocks[seeds:], axis=0)
    return mcnemar(int((net > 0).sum()), int((net < 0).sum()))
