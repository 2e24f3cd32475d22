"""Simulated studies whose truth is known, as raw matrices of what is right and wrong: what `bench/inference.py` compares.

An example is hard in all languages alike, with a part of its own in each; a condition finds some examples harder than
others whatever the seed; the seeds of a run have heavy tails (Student's t with 3 degrees of freedom), in part over all
tasks, in part over one, in part over one language. A third of the languages is seen in the conditions other than the
baseline.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xtreme_dag.results.cells import Landed
from xtreme_dag.results.compare import compare_landed
from xtreme_dag.results.effects import Comparison
from xtreme_dag.results.predictions import Predictions
from xtreme_dag.scoring.columns import Metric

BASELINE = "base"
RESAMPLES = 200
HARD, HARD_IN_LANGUAGE, OWN, EASE = 1.2, 0.4, 0.5, 0.4  # on the scale of the logit
OF_SEED = (0.5, 0.4, 0.3)  # weights of a seed's part over all tasks, of one task, and of one language of it
Matrix = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class World:
    """How studies are drawn.

    Attributes:
        conditions: number of conditions beside the baseline; the first is `c0`.
        tasks, languages, seeds, n: numbers of each; n examples in each language.
        spread: of the seeds, on the scale of the logit.
        rho: correlation of runs of one seed.
        shift: by how much `c0` is better at the first task in unseen languages, on the scale of the logit.
        everywhere: at all tasks instead.
    """

    conditions: int = 1
    tasks: int = 1
    languages: int = 6
    seeds: int = 3
    n: int = 100
    spread: float = 0.15
    rho: float = 0.0
    shift: float = 0.0
    everywhere: bool = False

    @property
    def seen(self) -> int:
        """How many languages the conditions are trained in."""
        return self.languages // 3

    @property
    def names(self) -> tuple[str, ...]:
        """The conditions, the baseline first."""
        return (BASELINE, *(f"c{place}" for place in range(self.conditions)))


class Matrices(Predictions):
    """Simulated runs in place of files; a path is `condition/task/language/seed`."""

    def __init__(self, right: dict[str, Matrix]) -> None:
        self._right = right

    def check(self, paths: Iterable[str]) -> None:
        """Nothing can be damaged."""

    def columns(self, path: str) -> list[str]:
        """Accuracy alone."""
        return ["id", "s_correct"]

    def rows(self, path: str) -> int:
        """Number of examples."""
        return len(self._right[path])

    def read(self, path: str, metric: Metric, *, keep: bool, cluster: str = "") -> pa.Table:
        """Ids that all languages share, and what is right."""
        right = self._right[path]
        return pa.table({"id": _ids(len(right)), "s_correct": right.astype(np.float64)})


@cache
def _ids(n: int) -> pa.Array:
    return pa.array([f"{place:06d}" for place in range(n)])


def simulated(rng: np.random.Generator, world: World) -> dict[tuple[str, int], Matrix]:
    """(condition, task) -> right or wrong (languages, seeds, examples)."""
    found = {}
    scale = world.spread / math.sqrt(3)  # Student's t with 3 degrees of freedom has variance 3
    common = scale * rng.standard_t(3, (world.seeds, 3))
    apart = {name: scale * rng.standard_t(3, world.seeds) for name in world.names}
    for task in range(world.tasks):
        hard = HARD * rng.normal(size=world.n) + HARD_IN_LANGUAGE * rng.normal(size=(world.languages, world.n))
        shared = scale * rng.standard_t(3, (world.seeds, 2))
        shared_in = scale * rng.standard_t(3, (world.languages, world.seeds))
        for name in world.names:
            own = (
                OF_SEED[0] * apart[name][None]
                + OF_SEED[1] * scale * rng.standard_t(3, world.seeds)[None]
                + OF_SEED[2] * scale * rng.standard_t(3, (world.languages, world.seeds))
            )
            together = OF_SEED[0] * common[None, :, 0] + OF_SEED[1] * shared[None, :, 0] + OF_SEED[2] * shared_in
            of_seed = (math.sqrt(world.rho) * together + math.sqrt(1 - world.rho) * own) / math.hypot(*OF_SEED)
            shifted = name == "c0" and (world.everywhere or task == 0)
            better = np.where(np.arange(world.languages) < world.seen, 0.0, world.shift * shifted)[:, None, None]
            own_examples = OWN * rng.normal(size=(world.languages, world.n))
            at = EASE + better - (hard + own_examples)[:, None] + of_seed[:, :, None]
            found[name, task] = rng.random(at.shape) < 1 / (1 + np.exp(-at))
    return found


def compared(rng: np.random.Generator, world: World, conditions: Sequence[str] | None = None) -> list[Comparison]:
    """A simulated study, through the comparison that users call."""
    landed, files = landed_of(simulated(rng, world), world)
    return compare_landed(landed, files, conditions=conditions, resamples=RESAMPLES, seed=int(rng.integers(1 << 30)))


def landed_of(blocks: Mapping[tuple[str, int], Matrix], world: World) -> tuple[Landed, Matrices]:
    """Matrices as if their study had landed."""
    rows, files = [], {}
    for (name, task), block in blocks.items():
        for language, seed in itertools.product(range(world.languages), range(world.seeds)):
            path = f"{name}/{task}/{language}/{seed}"
            word = "same task" if name != BASELINE and language < world.seen else "none"
            rows.append(("s", name, f"t{task}", f"l{language:02d}", seed, "accuracy", path, word, ()))
            files[path] = block[language, seed]
    landed = Landed(
        study="s", split="test", baseline=BASELINE, told={}, order=world.names, controls=frozenset(), supervised=(),
        rows=rows,
    )  # fmt: skip
    return landed, Matrices(files)


def difference(shift: float, spread: float) -> float:
    """The true difference in points of a shift on the scale of the logit."""
    hard, of_seed = _population()
    at = EASE - hard + spread / math.sqrt(3) * of_seed
    return float(100 * np.mean(1 / (1 + np.exp(-at - shift)) - 1 / (1 + np.exp(-at))))


@cache
def _population() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How hard examples are, and what seeds make of them where their spread is that of Student's t."""
    rng = np.random.default_rng(0)
    hard = math.sqrt(HARD**2 + HARD_IN_LANGUAGE**2 + OWN**2) * rng.normal(size=400_000)
    parts = np.array(OF_SEED)[:, None] * rng.standard_t(3, (3, hard.size))
    return hard, parts.sum(axis=0) / math.hypot(*OF_SEED)


def shift_of(points: float, spread: float) -> float:
    """The shift that gives a true difference."""
    low, high = 0.0, 12.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if difference(middle, spread) < points else (low, middle)
    return low
