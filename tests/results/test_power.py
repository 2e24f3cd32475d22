"""What a plan says of power: scaled as variances are, and found in four of five simulated studies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.results.synthetic_study import make_study
from xtreme_dag.core.home import Home
from xtreme_dag.results.compare import compare_conditions
from xtreme_dag.results.inference import spread
from xtreme_dag.results.landing import land
from xtreme_dag.results.power import MOST_SEEDS, POINTS, Variance, of_pilot, of_statement, power

positive = st.floats(0.01, 20)
variances = st.builds(
    lambda examples, own, both, n, degrees: Variance(
        examples=examples, seeds=own + both, both=both, n=n, smallest=n, degrees=degrees, baseline=60.0
    ),
    positive, positive, positive, st.integers(50, 5000), st.floats(1, 2),
)  # fmt: skip


@given(variances, st.integers(2, 20), st.integers(1, 4))
def test_each_part_falls_with_what_it_comes_from(one, seeds, times):
    at = one.of(seeds, one.n * times)
    assert at.variance == pytest.approx(
        one.examples / times + ((one.seeds - one.both) + one.both / times) / seeds, rel=1e-6
    )
    assert one.of(seeds + 1, one.n).power_at(0.01) < one.of(seeds, one.n).power_at(0.01)
    assert one.of(seeds, None) == one.of(seeds, one.n)


@given(variances)
def test_the_seeds_for_a_difference_are_the_fewest(one):
    (row,) = power({"a": one}, {"a": {"de": one.n}}, of_tasks=4, of_means=1, seeds=3)
    assert row.level == 0.0125
    for points in POINTS:
        seeds = row.seeds_for[points]
        assert (one.of(seeds or MOST_SEEDS, one.n).power_at(row.level) <= points) == (seeds is not None)
        if seeds is not None and seeds > 2:
            assert one.of(seeds - 1, one.n).power_at(row.level) > points


@pytest.mark.parametrize(("seeds", "claims"), [(3, 1), (5, 1), (5, 12), (10, 12)])
def test_four_of_five_studies_find_what_the_plan_says(seeds, claims):
    rng = np.random.default_rng(seeds)
    one = Variance(examples=0.5, seeds=4.5, both=0.5, n=400, smallest=400, degrees=2.0, baseline=50.0)
    (row,) = power({"a": one}, {"a": {"de": 400}}, of_tasks=claims, of_means=1, seeds=seeds)
    studies, found = 500, 0
    for _ in range(studies):
        # Seen from a study: figures of runs, and resamples that move all of them together and each by itself.
        runs = np.sqrt(4.5 / 2) * rng.normal(size=(2, seeds))
        runs[0] += row.found + np.sqrt(0.5) * rng.normal()
        draws = np.sqrt(0.5 / 2) * rng.normal(size=(2, 300, seeds))
        draws[0] += np.sqrt(0.5) * rng.normal(size=(300, 1))
        got = spread(runs, draws, 400, 0.01)
        found += got.delta > got.half_width(row.level / 2)
    assert found / studies == pytest.approx(0.8, abs=0.08)


@pytest.fixture(scope="module")
def pilot(tmp_path_factory):
    home = tmp_path_factory.mktemp("pilot") / "home"
    made = make_study(home, seeds=(1, 2, 3), splits=("test",), n=100)
    land(Home(home), *made.arguments)
    return compare_conditions(Home(home), resamples=200)


def test_a_pilots_variance_is_the_mean_of_its_comparisons(pilot):
    found = of_pilot(pilot)
    assert found.keys() == {"xnli", "udpos", "xquad", None}
    effects = [one.tasks[0] for one in pilot]
    again = found[effects[0].task].of(3, None)
    assert again.variance == pytest.approx(np.mean([one.spread.variance for one in effects]))
    assert again.n == 100 and found[None].n == 900


def test_a_pilot_with_one_seed_says_nothing(tmp_path):
    made = make_study(tmp_path, seeds=(1,), splits=("test",), tasks={"xnli": "accuracy"})
    land(Home(tmp_path), *made.arguments)
    assert of_pilot(compare_conditions(Home(tmp_path), resamples=100)) == {}


def test_what_is_not_known_is_left_out(pilot):
    tested = {"xnli": {"de": 100, "sw": 100}, "udpos": {"de": None}, "paws_x": {"de": 5}}
    rows = power(of_pilot(pilot), tested, of_tasks=6, of_means=2, seeds=3)
    assert [(row.task, row.n) for row in rows] == [("xnli", 200), ("udpos", None)]
    stated = of_statement(70.0, 1.0, tested)
    assert stated.keys() == {"xnli", "paws_x"}
    assert of_statement(70.0, 1.0, {**tested, "udpos": {"de": 9}}, wholes={"xnli"}).keys() == {"udpos", "paws_x"}
    assert stated["xnli"].seeds == 2.0 and stated["xnli"].examples == pytest.approx(2 * 2100 / 100 * 1.25 / 2)


def test_one_seed_finds_nothing_of_the_conditions(pilot):
    (row,) = power(of_pilot(pilot), {"xnli": {"de": 300}}, of_tasks=1, of_means=1, seeds=1)
    assert row.found is None and row.to_json()["seeds_for"].keys() == {"1", "2", "5"}
