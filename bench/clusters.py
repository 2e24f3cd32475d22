"""What intervals are worth where examples hang together (turns of a dialogue, questions on a paragraph): coverage.

    python -m bench.clusters [--studies 2000]

Simulated pairs of models with a known true difference, in groups of 5 to 20 examples. A group is hard or easy as a
whole, for both models and for each of them. The intervals are those of `compare`: once with groups drawn as wholes, and
once with examples drawn one by one, as if they had nothing to do with each other. The table is that of `docs/results.md`.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xtreme_dag.results.draws import draw
from xtreme_dag.results.effects import effect_of
from xtreme_dag.results.pairs import Leaf, find_metric
from xtreme_dag.results.render import aligned

RESAMPLES = 300
SIZES = (5, 20)
SHIFT = 0.3  # by how much the condition is better, on the scale of the logit
HARD, OWN_HARD, WITHIN = 1.0, 0.8, 0.7  # of a group for both models, of a group for one, of an example
_POPULATION = 400_000


@dataclass(frozen=True, kw_only=True)
class World:
    """How pairs are drawn.

    Attributes:
        groups: number of groups.
        seeds: runs of each side.
        spread: of the seeds, on the scale of the logit; with one seed the interval speaks of the model alone.
    """

    groups: int
    seeds: int = 1
    spread: float = 0.0


def _chances(hard: NDArray[np.float64], shift: float) -> NDArray[np.float64]:
    return 1.0 / (1.0 + np.exp(hard - 0.4 - shift))


def clustered(rng: np.random.Generator, world: World) -> Leaf:
    """The paired predictions of a condition and a baseline, right or wrong."""
    sizes = rng.integers(SIZES[0], SIZES[1] + 1, world.groups)
    of = np.repeat(np.arange(world.groups), sizes)
    hard = (HARD * rng.normal(size=world.groups))[of]
    columns = {}
    for side, shift in (("condition", SHIFT), ("baseline", 0.0)):
        own = hard + (OWN_HARD * rng.normal(size=world.groups))[of] + WITHIN * rng.normal(size=len(of))
        for seed in range(world.seeds):
            right = rng.random(len(of)) < _chances(own, shift + world.spread * rng.normal())
            columns[side, seed] = right[:, None].astype(np.float32)
    ids = pa.array(np.arange(len(of))).cast(pa.string())
    return Leaf(language="xx", ids=ids, columns=columns, dropped=0, cluster=pa.array(of).cast(pa.string()))


@cache
def true_difference(world: World) -> float:
    """The difference in points over infinitely many groups."""
    rng = np.random.default_rng(0)
    hard = np.sqrt(HARD**2 + OWN_HARD**2 + WITHIN**2) * rng.normal(size=_POPULATION)
    of_seed = world.spread * rng.normal(size=_POPULATION)
    return float(100.0 * (_chances(hard, SHIFT + of_seed) - _chances(hard, of_seed)).mean())


def covered(job: tuple[int, World]) -> tuple[bool, bool, float, float]:
    """Whether the 95 % intervals of a simulated pair hold the true difference, and their standard errors.

    Returns:
        With groups as wholes, with examples one by one, and the standard errors of both.
    """
    number, world = job
    found = []
    leaf = clustered(np.random.default_rng([7, number]), world)
    metric = find_metric("accuracy", ["s_correct"])
    for each in (leaf, Leaf(language=leaf.language, ids=leaf.ids, columns=leaf.columns, dropped=0)):
        draws = draw([each], metric, resamples=RESAMPLES, seed=number, task="simulated")[each.language]
        effect = effect_of(draws, task="t", language=None, metric=metric.name, confidence=0.95)
        found.append((effect.low <= true_difference(world) <= effect.high, effect.standard_error))
    (wholes, error), (apart, naive) = found
    return wholes, apart, error, naive


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    studies = parser.parse_args().studies
    rows = []
    for world in (
        World(groups=30), World(groups=60), World(groups=200), World(groups=400),
        World(groups=60, seeds=3, spread=0.1), World(groups=200, seeds=3, spread=0.1),
    ):  # fmt: skip
        found = np.array([covered((number, world)) for number in range(studies)], dtype=np.float64)
        wholes, apart, error, naive = found.mean(axis=0)
        shares = [f"{100 * wholes:.1f}", f"{100 * apart:.1f}", f"{error:.2f}", f"{naive:.2f}"]
        rows.append([world.groups, world.seeds, studies, *shares])
    heads = ["groups", "seeds", "studies", "covered % (groups)", "covered % (examples)", "error (groups)", "error (examples)"]  # fmt: skip
    print(aligned(heads, rows))


if __name__ == "__main__":
    main()
