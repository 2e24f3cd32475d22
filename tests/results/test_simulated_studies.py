"""Small versions of the tables of `bench/inference.py`: simulated studies whose truth is known, through `compare`."""

from dataclasses import replace

import numpy as np
import pytest

from bench.inference import needed_found, needed_said, seeds_covered, winner_covered
from bench.simulated import World, shift_of


def allowed(share: float, studies: int) -> float:
    """Three standard errors of a share."""
    return 3 * float(np.sqrt(share * (1 - share) / studies))


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_intervals_cover_where_the_runs_of_one_seed_go_together(rho):
    world = World(seeds=3, rho=rho, n=100, languages=3)
    covered = [seeds_covered((number, world))[0] for number in range(100)]
    assert np.mean(covered) > 0.95 - allowed(0.95, len(covered))


def test_intervals_do_not_waste_that_the_runs_of_one_seed_go_together():
    def half_width(rho):
        world = World(seeds=10, rho=rho, spread=0.6, n=100, languages=3)
        return np.mean([seeds_covered((number, world))[1] for number in range(30)])

    assert half_width(0.9) < 0.7 * half_width(0.0)


def test_the_interval_of_the_studys_comparison_covers_and_that_of_the_largest_gain_would_not():
    world = World(conditions=6, seeds=1, spread=0.0, n=60, languages=3)
    found = [winner_covered((number, world)) for number in range(80)]
    named, largest = (np.mean([one[name] for one in found]) for name in ("named", "largest"))
    assert named > 0.95 - allowed(0.95, len(found)) and largest < named


@pytest.mark.parametrize(("seeds", "spread"), [(1, 0.0), (3, 0.15)])
def test_what_is_needed_is_found_in_four_of_five_studies(seeds, spread):
    world = World(seeds=seeds, spread=spread, n=200, languages=3)
    needed = float(np.median([needed_said((number, world)) for number in range(60)]))
    true = replace(world, shift=shift_of(needed, spread))
    found = [needed_found((number, true)) for number in range(120)]
    assert np.mean(found) == pytest.approx(0.8, abs=allowed(0.8, len(found)))
