"""What the verdicts, intervals and `needed` of `compare` are worth: simulated studies whose truth is known.

    python -m bench.inference [--minutes 18] [--workers 2] [--only families,winner,needed,best,seeds]

Each study is a set of raw matrices (right or wrong: languages x seeds x examples), which go through `compare_landed`, the
part of `compare` that follows the reading of files; `bench/simulated.py` says how they are drawn. The tables are those of
`docs/results.md`.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import TypeVar

import numpy as np

from bench.simulated import BASELINE, RESAMPLES, World, compared, landed_of, shift_of, simulated
from xtreme_dag.results.best import gains_of
from xtreme_dag.results.effects import Comparison, Effect
from xtreme_dag.results.inference import smallest_error, spread
from xtreme_dag.results.render import aligned

LEVELS = ("all tasks", "task", "language")
LIMIT = 1500  # studies with the variance of infinitely many resamples
Job = TypeVar("Job")
Found = TypeVar("Found")


def by_level(comparison: Comparison) -> dict[str, list[Effect]]:
    """The effects of a comparison that have a verdict."""
    seen = [one for one in comparison.seen if one.task is None]
    return {
        "all tasks": [comparison.overall, *seen],
        "task": [*comparison.tasks, *(one for one in comparison.seen if one.task is not None)],
        "language": list(comparison.languages),
    }


# Families: how many studies in which nothing differs have a false verdict.


def false_verdicts(job: tuple[int, World]) -> Counter[str]:
    """The levels at which a study in which nothing differs has a false verdict."""
    number, world = job
    rng = np.random.default_rng([1, number])
    drawn = replace(world, languages=int(rng.integers(6, 41)))
    found: Counter[str] = Counter(studies=1)
    for level in LEVELS:
        found[level] = 0
    for comparison in compared(rng, drawn):
        for level, effects in by_level(comparison).items():
            found[level] = max(found[level], int(any(one.verdict != "open" for one in effects)))
            if level == "task":
                found["uncorrected"] = max(found["uncorrected"], int(any(one.p < 0.05 for one in effects)))
    return found


def families(pool: ProcessPoolExecutor, seconds: float) -> None:
    """Prints the share of studies with any false verdict."""
    cells = [
        World(conditions=conditions, tasks=tasks, seeds=seeds, spread=spread)
        for seeds, spread in (
            (1, 0.0),
            (3, 0.15),
        )  # of one seed the models are spoken of, which are equal without spread
        for conditions in (1, 3, 9, 14)
        for tasks in (1, 4, 9)
    ]
    rows, total = [], Counter[str]()
    for place, cell in enumerate(cells):
        jobs = ((1000 * place + number, cell) for number in itertools.count())
        found = sum(repeated(pool, false_verdicts, jobs, seconds / len(cells)), Counter[str]())
        total += found
        rows.append([cell.seeds, cell.conditions, cell.tasks, *_shares(found)])
    rows.append(["all", "", "", *_shares(total)])
    heads = ["seeds", "conditions", "tasks", "studies", *(f"{level} %" for level in LEVELS), "task, uncorrected %"]
    show("2. Studies with any false verdict where nothing differs (6-40 languages)", heads, rows)


def _shares(found: Counter[str]) -> list[object]:
    return [found["studies"], *(round(100 * found[name] / found["studies"], 1) for name in (*LEVELS, "uncorrected"))]


# The winner: whose interval covers.


def winner_covered(job: tuple[int, World]) -> Counter[str]:
    """Whether the intervals of the comparison that a study names, and of the largest gain, cover the true 0."""
    number, world = job
    found = compared(np.random.default_rng([2, number]), world)
    largest = max(found, key=lambda one: one.overall.delta)
    return Counter(
        studies=1,
        named=int(found[0].overall.low <= 0 <= found[0].overall.high),
        largest=int(largest.overall.low <= 0 <= largest.overall.high),
    )


def winner(pool: ProcessPoolExecutor, seconds: float) -> None:
    """Prints coverage of the lead's interval."""
    cells = [World(conditions=conditions, tasks=2, seeds=seeds) for seeds in (1, 3) for conditions in (1, 3, 9)]
    # One seed speaks of the models: its truth is 0 where runs do not differ.
    cells = [replace(cell, spread=0.0) if cell.seeds == 1 else cell for cell in cells]
    rows = []
    for cell in cells:
        jobs = ((number, cell) for number in itertools.count())
        found = sum(repeated(pool, winner_covered, jobs, seconds / len(cells)), Counter[str]())
        shares = [round(100 * found[name] / found["studies"], 1) for name in ("named", "largest")]
        rows.append([cell.seeds, cell.conditions, found["studies"], *shares])
    heads = ["seeds", "conditions", "studies", "the study's comparison %", "if the largest gain were named %"]
    show("3. Coverage of the 95 % interval of the lead", heads, rows)


# `needed`: found in 80 % of studies.


def needed_said(job: tuple[int, World]) -> float:
    """What a study says it needed at the first task, or over all tasks."""
    number, world = job
    (one,) = compared(np.random.default_rng([3, number]), world, ["c0"])
    effect = one.overall if world.everywhere else one.tasks[0]
    return math.inf if effect.detectable is None else effect.detectable


def needed_found(job: tuple[int, World]) -> bool:
    """Whether a true difference was found."""
    number, world = job
    (one,) = compared(np.random.default_rng([4, number]), world, ["c0"])
    return (one.overall if world.everywhere else one.tasks[0]).verdict == "better"


def needed(pool: ProcessPoolExecutor, seconds: float) -> None:
    """Prints how often a true difference of the size that studies call `needed` is found."""
    cells = [
        World(conditions=conditions, tasks=tasks, seeds=seeds, n=300, everywhere=everywhere, spread=spread)
        for conditions, tasks, everywhere in ((1, 1, False), (1, 4, True), (3, 4, False), (3, 4, True))
        for seeds, spread in ((1, 0.0), (3, 0.15), (5, 0.15), (3, 0.4), (5, 0.4))
    ]
    rows = []
    for place, cell in enumerate(cells):
        jobs = [(number, cell) for number in itertools.islice(itertools.count(1000 * place), 10_000)]
        said = list(repeated(pool, needed_said, jobs, seconds / len(cells) / 4))
        points = float(np.median(said))
        level = "all tasks" if cell.everywhere else "task"
        head = [level, cell.conditions, cell.tasks, cell.seeds, cell.spread]
        if math.isinf(points):  # most studies say that there is no such figure
            rows.append([*head, len(said), "none", ""])
            continue
        true = replace(cell, shift=shift_of(points, cell.spread))
        jobs = [(number, true) for number, _ in jobs]
        found = list(repeated(pool, needed_found, jobs, seconds / len(cells) * 3 / 4))
        rows.append([*head, len(found), round(points, 2), round(100 * float(np.mean(found)), 1)])
    heads = ["level", "conditions", "tasks", "seeds", "spread", "studies", "needed (median)", "found %"]
    show("4. A true difference of the size that is called needed is found", heads, rows)


# The best condition of a task: the gain of the choice.


def best_gain(job: tuple[int, World]) -> tuple[float, bool, float]:
    """Where nothing differs: the gain of the choice, whether its interval covers 0, and the plain gain of the chosen."""
    number, world = job
    rng = np.random.default_rng([6, number])
    blocks = simulated(rng, replace(world, n=2 * world.n))  # dev and test of the same runs
    dev = {name: block[..., : world.n].mean(axis=(0, 2)) for (name, _), block in blocks.items()}
    test = {key: block[..., world.n :] for key, block in blocks.items()}

    def chosen(seeds: Sequence[int]) -> str:
        return max(world.names, key=lambda name: (dev[name][list(seeds)].mean(), name == BASELINE))

    everything = range(world.seeds)
    picks = {"t0": {one: chosen([seed for seed in everything if seed != one]) for one in everything}}
    gain = gains_of(*landed_of(test, world), picks, resamples=RESAMPLES, seed=int(rng.integers(1 << 30)))["t0"].all
    assert gain is not None  # of two seeds and more
    plain = 100 * float(test[chosen(everything), 0].mean() - test[BASELINE, 0].mean())
    return gain.delta, gain.low <= 0 <= gain.high, plain


def best(pool: ProcessPoolExecutor, seconds: float) -> None:
    """Prints what the choice of the best of equal conditions seems to gain."""
    cells = [World(conditions=conditions, seeds=seeds, n=150) for seeds in (3, 5) for conditions in (3, 9)]
    rows = []
    for cell in cells:
        jobs = ((number, cell) for number in itertools.count())
        found = np.array(list(repeated(pool, best_gain, jobs, seconds / len(cells))))
        means, error = found.mean(axis=0), float(found[:, 0].std() / math.sqrt(len(found)))
        figures = [round(means[0], 2), round(error, 2), round(100 * means[1], 1), round(means[2], 2)]
        rows.append([cell.seeds, cell.conditions, len(found), *figures])
    heads = ["seeds", "conditions", "studies", "gain", "+/-", "covered %", "gain of the chosen, plain"]
    show("6. The best of equal conditions, chosen on dev", heads, rows)


# Seeds: coverage where the runs of one seed go together.


def seeds_covered(job: tuple[int, World]) -> tuple[bool, float]:
    """Whether the interval covers the true 0, and its half-width."""
    number, world = job
    (one,) = compared(np.random.default_rng([5, number]), world)
    return one.overall.low <= 0 <= one.overall.high, (one.overall.high - one.overall.low) / 2


def covered_in_the_limit(job: tuple[int, World]) -> float:
    """The share of 50 such studies whose interval covers, with the variance that infinitely many resamples would give.

    The examples' part is then the sample covariance of the runs over n; draws that have just this covariance take the
    place of the resamples. A study takes a tenth of the time, so that there can be enough of them.
    """
    number, world = job
    rng, runs, covered = np.random.default_rng([7, number]), world.seeds, 0
    contrasts = np.linalg.qr(np.column_stack([np.ones(2 * runs + 1), np.eye(2 * runs + 1)[:, 1:]]))[0][:, 1:]
    for _ in range(50):
        blocks = simulated(rng, world)
        sides = [100 * blocks[name, 0][world.seen :].mean(axis=0) for name in ("c0", BASELINE)]  # (seeds, n)
        values, vectors = np.linalg.eigh(np.cov(np.concatenate(sides), ddof=0) / world.n)
        draws = math.sqrt(2 * runs) * contrasts @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
        floor = smallest_error(world.n) / math.sqrt(world.languages - world.seen)
        pairs = [(place, place) for place in range(runs)]
        found = spread([side.mean(axis=1) for side in sides], np.hsplit(draws, 2), world.n, floor, pairs)
        covered += abs(found.delta) <= found.half_width(0.025)
    return covered / 50


def seeds(pool: ProcessPoolExecutor, seconds: float) -> None:
    """Prints coverage by correlation and number of seeds."""
    cells = [
        World(seeds=number, rho=rho, spread=spread, languages=6, n=200)
        for spread in (0.15, 0.6)
        for number in (3, 5, 10)
        for rho in (0.0, 0.5, 0.9)
    ]
    rows = []
    for place, cell in enumerate(cells):
        jobs = ((10_000 * place + number, cell) for number in itertools.count())
        limit = list(pool.map(covered_in_the_limit, [(100 * place + number, cell) for number in range(LIMIT // 50)]))
        found = list(repeated(pool, seeds_covered, jobs, seconds / len(cells)))
        share, width = (float(np.mean(part)) for part in zip(*found, strict=True))
        figures = [len(found), round(100 * share, 1), round(width, 2), LIMIT, round(100 * float(np.mean(limit)), 1)]
        rows.append([cell.spread, cell.seeds, cell.rho, *figures])
    heads = [
        "spread of seeds",
        "seeds",
        "correlation",
        "studies",
        "covered %",
        "half-width",
        "studies",
        "in the limit %",
    ]
    show("8. Coverage of the 95 % interval where the runs of one seed go together", heads, rows)


def repeated(
    pool: ProcessPoolExecutor, function: Callable[[Job], Found], jobs: Iterable[Job], seconds: float
) -> Iterator[Found]:
    """Results of jobs, for as long as there is time, at least one batch."""
    end, waiting = time.monotonic() + seconds, iter(jobs)
    while batch := list(itertools.islice(waiting, 16)):
        yield from pool.map(function, batch, chunksize=4)
        if time.monotonic() >= end:
            return


def show(title: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a table."""
    print(f"{title}\n\n{aligned(heads, rows, count=False)}", flush=True)


# How each table is made, and its share of the time.
TABLES = {
    "families": (families, 0.35),
    "winner": (winner, 0.1),
    "needed": (needed, 0.3),
    "best": (best, 0.05),
    "seeds": (seeds, 0.2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=18.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default=",".join(TABLES), help="names of tables, with commas between them")
    arguments = parser.parse_args()
    chosen = {name: TABLES[name] for name in arguments.only.split(",")}
    whole = sum(share for _, share in chosen.values())
    with ProcessPoolExecutor(arguments.workers) as pool:
        for make, share in chosen.values():
            make(pool, 60 * arguments.minutes * share / whole)


if __name__ == "__main__":
    main()
