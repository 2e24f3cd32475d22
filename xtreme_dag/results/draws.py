"""A task's figures on the data and on resamples of it, for both sides of a comparison and every seed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xtreme_dag.results.inference import Spread, mcnemar, smallest_error, spread
from xtreme_dag.results.pairs import Leaf, Metric, as_mean
from xtreme_dag.results.resample import generator, resampled_sums, sums_of_kinds

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
        n: number of examples, of all languages and tasks that are in it.
        smallest: number of examples of its smallest part: the degrees of freedom are counted from it.
        floor: smallest credible standard error of the difference.
        dropped: examples that not every run has.
        mcnemar: exact p of an accuracy in one language; None otherwise.
    """

    seeds: tuple[int, ...]
    observed: Floats
    resampled: Floats
    n: int
    smallest: int
    floor: float
    dropped: int
    mcnemar: float | None = None

    @property
    def spread(self) -> Spread:
        """The difference and where its variance comes from."""
        return spread(self.observed, self.resampled, self.smallest, self.floor)

    def only(self, seeds: Sequence[int]) -> Draws:
        """The figures of some of the seeds."""
        places = [self.seeds.index(seed) for seed in seeds]
        return Draws(
            seeds=tuple(seeds),
            observed=self.observed[:, places],
            resampled=self.resampled[:, :, places],
            n=self.n,
            smallest=self.smallest,
            floor=self.floor,
            dropped=self.dropped,
        )


def draw(leaves: Sequence[Leaf], metric: Metric, *, resamples: int, seed: int, task: str) -> dict[str, Draws]:
    """Figures of each language of a task.

    Examples that several languages share (parallel test sets have the same ids) are drawn together, since what is
    hard in one language is hard in the others: languages drawn apart would make the mean over languages look surer
    than it is. Where nothing is shared and drawing is costly, large languages of equal size use the same draws: rows
    that have nothing to do with each other stay uncorrelated but for chance of the order of 1/sqrt(n).

    Args:
        leaves: the paired predictions, one leaf per language.
        metric: what is computed.
        resamples: number of resamples.
        seed: seed of the resampling.
        task: name of the task; it has draws of its own.
    """
    if metric.is_mean:
        pairs = [as_mean(metric, leaf) for leaf in leaves]
        metric, leaves = pairs[0][0], [leaf for _, leaf in pairs]
    rows = _shared_rows([leaf.ids for leaf in leaves])
    if rows is None:
        sums = _sums_apart(leaves, resamples, seed, task)
    else:
        blocks = [_placed(leaf, *place) for leaf, place in zip(leaves, rows, strict=True)]
        sums = _sums_together(leaves, blocks, resamples, generator(seed, task, leaves[0].language))
    return {leaf.language: _figures(leaf, metric, sums[leaf.language]) for leaf in leaves}


def _sums_together(
    leaves: Sequence[Leaf], blocks: Sequence[NDArray[np.float32]], resamples: int, rng: np.random.Generator
) -> dict[str, Floats]:
    """Sums over the same resamples for several languages."""
    sums = resampled_sums(np.concatenate(blocks, axis=1), resamples, rng)
    ends = np.cumsum([block.shape[1] for block in blocks])[:-1]
    return {leaf.language: part for leaf, part in zip(leaves, np.split(sums, ends, axis=1), strict=True)}


def _sums_apart(leaves: Sequence[Leaf], resamples: int, seed: int, task: str) -> dict[str, Floats]:
    """Sums over resamples for languages that share no example."""
    sums: dict[str, Floats] = {}
    large: dict[int, list[Leaf]] = {}
    for leaf in leaves:
        block, rng = _placed(leaf, None, leaf.n), generator(seed, task, leaf.language)
        quick = sums_of_kinds(block, resamples, rng)
        if quick is not None:
            sums[leaf.language] = quick
        elif leaf.n < _SHARE_FROM:
            sums[leaf.language] = resampled_sums(block, resamples, rng)
        else:
            large.setdefault(leaf.n, []).append(leaf)
    for n, group in large.items():
        blocks = [_placed(leaf, None, n) for leaf in group]
        sums |= _sums_together(group, blocks, resamples, generator(seed, task, group[0].language))
    return sums


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
        smallest=min(one.smallest for one in same),
        floor=float(np.sqrt(sum(one.floor**2 for one in same))) / len(same),
        dropped=sum(one.dropped for one in same),
    )


def _one_run(draws: Draws) -> Draws:
    return Draws(
        seeds=(-1,),
        observed=draws.observed.mean(axis=1, keepdims=True),
        resampled=draws.resampled.mean(axis=2, keepdims=True),
        n=draws.n,
        smallest=draws.smallest,
        floor=draws.floor,
        dropped=draws.dropped,
    )


Place = tuple[NDArray[np.int64] | None, int]
"""The row of each of a leaf's examples (None: in order) and the number of rows."""


def _shared_rows(ids: Sequence[pa.Array]) -> list[Place] | None:
    """Where the examples of each language lie among all that occur; None if no two languages share any."""
    if all(array.equals(ids[0]) for array in ids):
        return [(None, len(ids[0]))] * len(ids) if len(ids) > 1 else None
    if _apart(ids):
        return None
    codes, total = _codes(ids)
    return [(code, total) for code in codes] if total < sum(map(len, ids)) else None


def _apart(ids: Sequence[pa.Array]) -> bool:
    """Whether the ids of each array come all before those of the next, so that none can be shared."""
    import pyarrow.compute as pc

    ends = sorted((pc.min(array).as_py(), pc.max(array).as_py()) for array in ids)
    return all(one[1] < other[0] for one, other in itertools.pairwise(ends))


def _codes(ids: Sequence[pa.Array]) -> tuple[list[NDArray[np.int64]], int]:
    """For each array of ids the number of each id among all that occur, and how many occur."""
    import pyarrow as pa

    encoded = pa.concat_arrays(list(ids)).dictionary_encode()
    codes = encoded.indices.to_numpy().astype(np.int64)
    return np.split(codes, np.cumsum([len(array) for array in ids])[:-1]), len(encoded.dictionary)


def _placed(leaf: Leaf, rows: NDArray[np.int64] | None, total: int) -> NDArray[np.float32]:
    """A leaf's statistics on the rows that are drawn; where it lacks some, zeros there and a column that counts."""
    blocks = list(leaf.columns.values())
    if rows is None:
        return np.concatenate(blocks, axis=1)
    block = np.concatenate([*blocks, np.ones((leaf.n, 1), np.float32)], axis=1)
    placed = np.zeros((total, block.shape[1]), dtype=np.float32)
    placed[rows] = block
    return placed


def _figures(leaf: Leaf, metric: Metric, sums: Floats) -> Draws:
    """The metric of each side and seed, from sums of its columns (resamples, runs x columns, and a count if needed)."""
    seeds = tuple(seed for side, seed in leaf.columns if side == "condition")
    shape = (2, len(seeds), len(metric.columns))
    width = int(np.prod(shape))
    parts = sums[:, :width].reshape(-1, *shape)
    counted = sums[:, width] if sums.shape[1] > width else np.full(len(sums), float(leaf.n))
    once = np.stack([block.sum(axis=0, dtype=np.float64) for block in leaf.columns.values()]).reshape(shape)

    def combine(values: Floats, n: Floats) -> Floats:
        named = {name: values[..., place] for place, name in enumerate(metric.columns)}
        return np.asarray(metric.combine({**named, "n": np.broadcast_to(n, values.shape[:-1])}), dtype=np.float64)

    return Draws(
        seeds=seeds,
        observed=combine(once, np.array(float(leaf.n))),
        resampled=np.moveaxis(combine(parts, np.maximum(counted, 1.0)[:, None, None]), 0, 1),
        n=leaf.n,
        smallest=leaf.n,
        floor=smallest_error(leaf.n),
        dropped=leaf.dropped,
        mcnemar=_exact(leaf, len(seeds)) if metric.name == "accuracy" else None,
    )


def _exact(leaf: Leaf, seeds: int) -> float:
    """McNemar's exact p; with several seeds an example counts for the side that got it right in more of them."""
    blocks = [block[:, 0] for block in leaf.columns.values()]
    net = np.sum(blocks[:seeds], axis=0) - np.sum(blocks[seeds:], axis=0)
    return mcnemar(int((net > 0).sum()), int((net < 0).sum()))
