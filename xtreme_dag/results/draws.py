"""A task's figures on the data and on resamples of it, for both sides of a comparison and every seed."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xtreme_dag.results.inference import Spread, mcnemar, smallest_error, spread
from xtreme_dag.results.pairs import Leaf, as_mean, folded
from xtreme_dag.results.resample import generator, resampled_sums, sums_of_kinds
from xtreme_dag.results.signals import CONSTANT
from xtreme_dag.scoring.columns import Metric

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
_SHARE_FROM = 1000


Both = tuple[Floats, Floats]
"""Figures of the condition and of the baseline."""
SIDES = ("condition", "baseline")


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Figures of condition and baseline, in points.

    Attributes:
        seeds: the seeds of each side.
        observed: on the data, each (seeds,).
        resampled: on resampled examples, each (resamples, seeds).
        n: number of examples, of all languages and tasks that are in it.
        smallest: number of examples of its smallest part, of groups where those are drawn: the degrees of freedom are
            counted from it.
        floor: smallest credible standard error of the difference.
        dropped: examples that not every run has.
        mcnemar: exact p of an accuracy in one language, where both sides have one seed; None otherwise.
        degenerate: a side and why it is degenerate, see `signals`, for each of both that there is.
    """

    seeds: tuple[tuple[int, ...], tuple[int, ...]]
    observed: Both
    resampled: Both
    n: int
    smallest: int
    floor: float
    dropped: int
    mcnemar: float | None = None
    degenerate: tuple[tuple[str, str], ...] = ()

    @property
    def spread(self) -> Spread:
        """The difference and where its variance comes from."""
        one, other = self.seeds
        pairs = [(one.index(seed), other.index(seed)) for seed in one if seed in other]
        return spread(self.observed, self.resampled, self.smallest, self.floor, pairs)


def draw(leaves: Sequence[Leaf], metric: Metric, *, resamples: int, seed: int, task: str) -> dict[str, Draws]:
    """Figures of each language of a task.

    Examples that several languages share (parallel test sets have the same ids) are drawn together, since what is
    hard in one language is hard in the others: languages drawn apart would make the mean over languages look surer
    than it is. Where nothing is shared and drawing is costly, large languages of equal size use the same draws: rows
    that have nothing to do with each other stay uncorrelated but for chance of the order of 1/sqrt(n).

    Where examples hang together (turns of a dialogue) their groups are drawn, and each brings all of its examples.

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
    leaves = [folded(leaf) for leaf in leaves]
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

    Where a side has no seed that is common to all, each figure's mean over its seeds stands for one run.
    """
    sides = [_mean_of_side(draws, side) for side in (0, 1)]
    return Draws(
        seeds=(sides[0][0], sides[1][0]),
        observed=(sides[0][1], sides[1][1]),
        resampled=(sides[0][2], sides[1][2]),
        n=sum(one.n for one in draws),
        smallest=min(one.smallest for one in draws),
        floor=float(np.sqrt(sum(one.floor**2 for one in draws))) / len(draws),
        dropped=sum(one.dropped for one in draws),
        degenerate=degenerate([one.degenerate for one in draws]),
    )


def degenerate(parts: Sequence[Iterable[tuple[str, str]]]) -> tuple[tuple[str, str], ...]:
    """What is degenerate about a mean: what half of its parts are, and one answer to all of whichever part."""
    found = Counter(one for part in parts for one in part)
    return tuple(sorted(one for one, count in found.items() if one[1] == CONSTANT or 2 * count >= len(parts)))


def _mean_of_side(draws: Sequence[Draws], side: int) -> tuple[tuple[int, ...], Floats, Floats]:
    seeds = tuple(seed for seed in draws[0].seeds[side] if all(seed in one.seeds[side] for one in draws))
    if not seeds:
        observed = [one.observed[side].mean(keepdims=True) for one in draws]
        resampled = [one.resampled[side].mean(axis=1, keepdims=True) for one in draws]
        return (-1,), np.mean(observed, axis=0), np.mean(resampled, axis=0)
    places = [[one.seeds[side].index(seed) for seed in seeds] for one in draws]
    observed = [one.observed[side][place] for one, place in zip(draws, places, strict=True)]
    resampled = [one.resampled[side][:, place] for one, place in zip(draws, places, strict=True)]
    return seeds, np.mean(observed, axis=0), np.mean(resampled, axis=0)


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
    """A leaf's statistics on the rows that are drawn; where it lacks some, zeros there, and a column that counts examples
    where their number can differ.
    """
    blocks = list(leaf.columns.values())
    if rows is None and leaf.sizes is None:
        return np.concatenate(blocks, axis=1)
    sizes = np.ones(leaf.n, np.float32) if leaf.sizes is None else leaf.sizes
    block = np.concatenate([*blocks, sizes[:, None]], axis=1)
    if rows is None:
        return block
    placed = np.zeros((total, block.shape[1]), dtype=np.float32)
    placed[rows] = block
    return placed


def _figures(leaf: Leaf, metric: Metric, sums: Floats) -> Draws:
    """The metric of each side and seed, from sums of its columns (resamples, runs x columns, and a count if needed)."""
    runs, width = len(leaf.columns), len(metric.columns)
    parts = sums[:, : runs * width].reshape(-1, runs, width)
    counted = sums[:, -1] if sums.shape[1] > runs * width else np.full(len(sums), float(leaf.examples))
    once = np.stack([block.sum(axis=0, dtype=np.float64) for block in leaf.columns.values()])

    def combine(values: Floats, n: Floats) -> Floats:
        named = {name: values[..., place] for place, name in enumerate(metric.columns)}
        return np.asarray(metric.combine({**named, "n": np.broadcast_to(n, values.shape[:-1])}), dtype=np.float64)

    observed, resampled = (
        combine(once, np.array(float(leaf.examples))),
        combine(parts, np.maximum(counted, 1.0)[:, None]),
    )
    of = [[place for place, (name, _) in enumerate(leaf.columns) if name == side] for side in SIDES]
    seeds = [tuple(seed for name, seed in leaf.columns if name == side) for side in SIDES]
    return Draws(
        seeds=(seeds[0], seeds[1]),
        observed=(observed[of[0]], observed[of[1]]),
        resampled=(resampled[:, of[0]], resampled[:, of[1]]),
        n=leaf.examples,
        smallest=leaf.n,
        floor=smallest_error(leaf.examples),
        dropped=leaf.dropped,
        # The test takes the models as given: of several seeds it would not say what other seeds give; and the examples
        # as independent.
        mcnemar=_exact(leaf) if metric.name == "accuracy" and runs == 2 and all(of) and leaf.sizes is None else None,
    )


def _exact(leaf: Leaf) -> float:
    """McNemar's exact p of two models."""
    right = {side: block[:, 0] > 0.5 for (side, _), block in leaf.columns.items()}
    gains, losses = right["condition"] & ~right["baseline"], right["baseline"] & ~right["condition"]
    return mcnemar(int(gains.sum()), int(losses.sum()))
