"""The schedule: which examples each optimizer step sees, a pure function of (seed, step).

A step can be computed without the steps before it, so a run resumes without replay, and every process of a
distributed run computes the same global batch and takes its share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from xtreme_dag.study.budget import apportion

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Pool positions in an infinite sequence of seeded permutations, one per epoch.

    Attributes:
        size: how many positions the pool has.
        seed: seed of the permutations.
        name: a number that tells streams of one seed apart.
    """

    size: int
    seed: int
    name: int
    _epochs: dict[int, Ints] = field(default_factory=dict, compare=False, repr=False)

    def take(self, start: int, count: int) -> Ints:
        """Elements `start` to `start + count` of the sequence."""
        parts = []
        while count > 0:
            epoch, low = divmod(start, self.size)
            part = self._permutation(epoch)[low : low + count]
            parts.append(part)
            start += len(part)
            count -= len(part)
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def _permutation(self, epoch: int) -> Ints:
        """The order of one epoch; the last two are remembered."""
        if epoch not in self._epochs:
            for old in sorted(self._epochs)[:-1]:
                del self._epochs[old]
            self._epochs[epoch] = np.random.default_rng([self.seed, self.name, epoch]).permutation(self.size)
        return self._epochs[epoch]


@dataclass(frozen=True, kw_only=True)
class Share:
    """A part of one step's batch: positions in one task's pool."""

    task: int
    positions: Ints


class Schedule:
    """The batches of a run.

    Args:
        sizes: pool size of each task.
        seed: seed of all order.
        batch_size: examples per step.
        epochs: passes over the pools; ignored when `steps` is given.
        steps: optimizer steps, or None.
        mixing: `step` (each step has one task) or `within` (tasks mixed in each step).

    Attributes:
        steps: how many optimizer steps the run has.
    """

    def __init__(
        self, sizes: Sequence[int], *, seed: int, batch_size: int, epochs: float, steps: int | None, mixing: str
    ) -> None:
        self._sizes = np.array(sizes, dtype=np.int64)
        self._batch = batch_size
        self._within = mixing == "within"
        total = int(self._sizes.sum())
        if self._within:
            self._stream = Stream(size=total, seed=seed, name=len(sizes))
            self._examples = steps * batch_size if steps else round(total * epochs)
            self.steps = -(-self._examples // batch_size)
            self._ends = np.cumsum(self._sizes)
            return
        self._streams = [Stream(size=int(size), seed=seed, name=task) for task, size in enumerate(sizes)]
        if steps:
            per_task = apportion(steps, self._sizes / total)
            self._wanted = per_task * batch_size
        else:
            self._wanted = np.round(self._sizes * epochs).astype(np.int64)
            per_task = -(-self._wanted // batch_size)
        self.steps = int(per_task.sum())
        tasks = np.repeat(np.arange(len(sizes)), per_task)
        self._task_of = np.random.default_rng([seed, len(sizes), 1]).permutation(tasks)
        self._turn = np.zeros(self.steps, dtype=np.int64)
        for task, turns in enumerate(per_task):
            self._turn[self._task_of == task] = np.arange(turns)

    def batch(self, step: int) -> list[Share]:
        """The examples of optimizer step `step`, from 0; at least one share, none empty."""
        if self._within:
            low = step * self._batch
            drawn = self._stream.take(low, min(self._batch, self._examples - low))
            task_of = np.searchsorted(self._ends, drawn, side="right")
            starts = self._ends - self._sizes
            return [
                Share(task=int(task), positions=drawn[task_of == task] - starts[task]) for task in np.unique(task_of)
            ]
        task = int(self._task_of[step])
        low = int(self._turn[step]) * self._batch
        count = min(self._batch, int(self._wanted[task]) - low)
        return [Share(task=task, positions=self._streams[task].take(low, count))]
