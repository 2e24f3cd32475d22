"""The power of a study before it runs: what it would find, from a pilot's variance or from stated figures.

A pilot's variance of a difference has a part that falls with the examples, a part that falls with the seeds, and what a
seed makes of an example, which falls with both; `inference` explains them. They are averaged over the pilot's
conditions and scaled to the numbers of the study. Verdicts are corrected for all claims of the study, so the level is
that of the first of them: a lone true difference among claims in which nothing differs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from xtreme_dag.results.effects import LEVEL, ROOM, Comparison, Effect
from xtreme_dag.results.inference import Spread

Examples = Mapping[str, Mapping[str, int | None]]
"""Task -> language that is unseen in both sides -> examples of its test; None if not known."""
POINTS = (1.0, 2.0, 5.0)
MOST_SEEDS = 100
TOGETHER = 0.25
"""Stated figures: how far the differences on an example go together in two languages (parallel test sets)."""


@dataclass(frozen=True, kw_only=True)
class Variance:
    """The variance of a difference, in points squared, by what it falls with.

    Attributes:
        examples: of the choice of `n` examples, whatever the seeds.
        seeds: of one seed of each side, its share of `both` included.
        both: of what one seed of each side makes of `n` examples.
        n: number of examples, of all languages together.
        smallest: degrees of freedom of `examples`, plus one.
        degrees: degrees of freedom that each seed beyond the first adds: 2 where seeds are independent, 1 if paired.
        baseline: the baseline's figure.
    """

    examples: float
    seeds: float
    both: float
    n: int
    smallest: int
    degrees: float
    baseline: float

    def of(self, seeds: int, n: int | None) -> Spread:
        """The spread of a study with so many seeds on each side, and examples (None: as many)."""
        less = self.n / n if n else 1.0
        between = max(0.0, self.seeds - self.both) + self.both * less
        return Spread(
            delta=0.0,
            examples=self.examples * less,
            seeds=between / seeds,
            n=max(2, round(self.smallest / less)),
            degrees=max(1.0, self.degrees * (seeds - 1)),
        )


@dataclass(frozen=True, kw_only=True)
class Power:
    """What would be found of one task, or of the mean over tasks.

    Attributes:
        task: the task; None for the mean over tasks.
        n: examples, of all unseen languages; None if not known.
        level: of the test of the first claim, corrected.
        found: the true difference that 80 % of such studies would find; None if it is nearly all that is left to 100.
        seeds_for: points -> the least number of seeds with which a true difference of so many points would be found;
            None if more than `MOST_SEEDS` would not do: there are too few examples.
    """

    task: str | None
    n: int | None
    level: float
    found: float | None
    seeds_for: Mapping[float, int | None]

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self) | {"seeds_for": {f"{points:g}": seeds for points, seeds in self.seeds_for.items()}}


def of_pilot(comparisons: Sequence[Comparison]) -> dict[str | None, Variance]:
    """The variance of each task, and of the mean over tasks (None), over unseen languages; empty with one seed.

    Args:
        comparisons: of a finished study; degenerate ones are left out.
    """
    found: dict[str | None, list[Effect]] = {}
    for one in comparisons:
        for effect in (*one.tasks, *([one.overall] if one.overall.part != "seen" else [])):
            if effect.spread.seeds > 0 and min(effect.seeds, effect.baseline_seeds) > 1 and not effect.degenerate:
                found.setdefault(effect.task, []).append(effect)
    return {task: _mean(effects) for task, effects in found.items()}


def _mean(effects: Sequence[Effect]) -> Variance:
    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values))

    runs = [2 / (1 / one.seeds + 1 / one.baseline_seeds) for one in effects]
    spreads = [one.spread for one in effects]
    return Variance(
        examples=mean([one.examples - one.residual for one in spreads]),
        seeds=mean([one.seeds * k for one, k in zip(spreads, runs, strict=True)]),
        both=mean([one.residual * k for one, k in zip(spreads, runs, strict=True)]),
        n=round(mean([one.n for one in effects])),
        smallest=round(mean([one.n for one in spreads])),
        degrees=min(2.0, mean([one.degrees / (k - 1) for one, k in zip(spreads, runs, strict=True)])),
        baseline=mean([one.baseline_value for one in effects]),
    )


def of_statement(
    accuracy: float, seed_spread: float, tested: Examples, wholes: Collection[str] = ()
) -> dict[str | None, Variance]:
    """The same from what somebody expects; tasks whose numbers of examples are not known are left out.

    So are those whose examples are drawn in groups: how far those of a group go together no accuracy says, and taken as
    independent they would make far smaller differences look detectable.

    Two models are taken to fail independently of each other, which real ones do not: less is then needed. The
    differences on translations of an example go together at `TOGETHER`. For the mean over tasks seeds are taken to be
    as lucky in all of them.

    Args:
        accuracy: of both sides, 0-100.
        seed_spread: standard deviation over seeds of a side's mean over the languages of a task, in points.
        tested: the examples of the study's tests.
        wholes: tasks whose examples are drawn in groups.
    """
    found: dict[str | None, Variance] = {}
    each = accuracy * (100.0 - accuracy)
    for task, languages in tested.items():
        counts = [count for count in languages.values() if count]
        if task in wholes or not counts or len(counts) < len(languages):
            continue
        shared = (1 + (len(counts) - 1) * TOGETHER) / len(counts)
        found[task] = Variance(
            examples=2 * each * float(np.mean([1 / count for count in counts])) * shared,
            seeds=2 * seed_spread**2, both=0.0, n=sum(counts), smallest=min(counts), degrees=2.0, baseline=accuracy,
        )  # fmt: skip
    if len(found) == len(tested) > 1:
        parts = list(found.values())
        found[None] = Variance(
            examples=sum(one.examples for one in parts) / len(parts) ** 2,
            seeds=2 * seed_spread**2, both=0.0, n=sum(one.n for one in parts),
            smallest=min(one.smallest for one in parts), degrees=2.0, baseline=accuracy,
        )  # fmt: skip
    return found


def power(
    variances: Mapping[str | None, Variance], tested: Examples, *, of_tasks: int, of_means: int, seeds: int
) -> list[Power]:
    """What the study would find, task by task, then on average over tasks.

    Tasks of which no variance is known are left out; the mean over tasks needs all of them.

    Args:
        variances: by task; None for the mean over tasks.
        tested: the examples of the study's tests; tasks without an unseen language are left out.
        of_tasks, of_means: numbers of claims of the study about tasks and about their mean.
        seeds: number of seeds.
    """
    counts = {task: _total(languages.values()) for task, languages in tested.items()}
    found = [
        _power(task, variances[task], n, LEVEL / max(1, of_tasks), seeds)
        for task, n in counts.items()
        if task in variances
    ]
    if len(found) == len(counts) > 1 and None in variances:
        found.append(_power(None, variances[None], _total(counts.values()), LEVEL / max(1, of_means), seeds))
    return found


def _total(counts: Collection[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _power(task: str | None, variance: Variance, n: int | None, level: float, seeds: int) -> Power:
    def found(runs: int) -> float:
        return variance.of(runs, n).power_at(level)

    def least(points: float) -> int | None:
        return next((runs for runs in range(2, MOST_SEEDS + 1) if found(runs) <= points), None)

    points = found(seeds) if seeds > 1 else None
    room = ROOM * (100.0 - variance.baseline)
    return Power(
        task=task,
        n=n,
        level=level,
        found=None if points is None or points > room else points,
        seeds_for={want: least(want) if want <= room else None for want in POINTS},
    )
