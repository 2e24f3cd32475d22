"""Quantiles, tests and corrections against scipy and first principles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from xtreme_dag.results.inference import Spread, holm, mcnemar, smallest_error, spread, student_quantile

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(p_values)
def test_holm_against_its_definition(values):
    corrected = holm(values)
    for i, p in enumerate(values):
        # the smallest level at which Holm rejects i: all that come before it in order must be rejected too
        order = sorted(range(len(values)), key=lambda j: (values[j], j))
        upto = order[: order.index(i) + 1]
        expected = min(1.0, max(values[j] * (len(values) - k) for k, j in enumerate(upto)))
        assert corrected[i] == pytest.approx(expected)
        assert corrected[i] >= p or corrected[i] == 1.0


@given(p_values, st.randoms())
def test_holm_does_not_depend_on_order(values, random):
    places = list(range(len(values)))
    random.shuffle(places)
    assert holm([values[i] for i in places]) == pytest.approx(holm(values)[places])


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_the_exact_binomial_test(gains, losses):
    expected = stats.binomtest(gains, gains + losses).pvalue if gains + losses else 1.0
    assert mcnemar(gains, losses) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(gains, losses) == mcnemar(losses, gains)


def test_mcnemar_of_many_examples():
    assert mcnemar(20_100, 19_900) == pytest.approx(stats.binomtest(20_100, 40_000).pvalue, rel=1e-6)


@pytest.mark.parametrize("degrees", [1.0, 1.4, 2, 5, 249, 1e6])
@pytest.mark.parametrize("probability", [0.5, 0.8, 0.975, 0.9999])
def test_student_quantile(degrees, probability):
    assert student_quantile(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), abs=1e-12)


spreads = st.builds(
    lambda delta, examples, seeds, n, degrees: Spread(
        delta=delta, examples=examples, seeds=seeds, n=n, degrees=degrees
    ),
    st.floats(-50, 50),
    st.floats(1e-4, 100),
    st.one_of(st.just(0.0), st.floats(1e-4, 100)),
    st.integers(2, 100_000),
    st.floats(1, 20),
)


@given(spreads)
def test_the_p_value_is_where_the_interval_touches_zero(one):
    p = one.p_value()
    assert 0 <= p <= 1
    if 1e-9 < p < 1 - 1e-9:  # to nine digits: near 1 a tail has no more
        wide, narrow = one.half_width((p - 1e-9) / 2), one.half_width(min((p + 1e-9) / 2, 0.5))
        assert narrow * (1 - 1e-6) <= abs(one.delta) <= wide * (1 + 1e-6)


@given(spreads, st.floats(0.001, 0.4), st.floats(0.001, 0.4))
def test_wider_intervals_for_higher_levels(one, a, b):
    assert (one.half_width(min(a, b)) >= one.half_width(max(a, b))) and one.half_width(0.49) < one.half_width(0.01)


@given(spreads)
def test_what_is_detectable_lies_outside_the_interval_around_zero(one):
    assert one.detectable(0.05) > one.half_width(0.025)


def test_one_seed_and_no_seed_spread_give_students_interval():
    one = Spread(delta=1.0, examples=4.0, seeds=0.0, n=31, degrees=1.0)
    assert one.half_width(0.025) == pytest.approx(2 * stats.t.ppf(0.975, 30))
    assert one.p_value() == pytest.approx(2 * stats.t.sf(0.5, 30))


def test_what_could_be_detected_is_detected_four_times_in_five():
    one = Spread(delta=0.0, examples=1.0, seeds=0.0, n=100_000, degrees=1.0)
    rng = np.random.default_rng(0)
    found = rng.normal(one.detectable(0.05), 1.0, 20_000) > one.half_width(0.025)
    assert found.mean() == pytest.approx(0.8, abs=0.01)


def test_parts_of_the_variance_against_their_formulas():
    rng = np.random.default_rng(1)
    n, runs, resamples = 400, 3, 4000
    values = rng.normal(size=(2, n, runs)) + rng.normal(size=(2, n, 1)) + np.array([0.0, 0.5, -0.4])
    counts = rng.multinomial(n, np.full(n, 1 / n), size=resamples)
    figures, draws = values.mean(axis=1), np.einsum("bn,snk->sbk", counts, values) / n
    got = spread(figures, draws, n, floor=0.0)
    difference = values[0] - values[1]
    assert got.delta == pytest.approx(difference.mean())
    between = figures.var(axis=1, ddof=1) / runs
    residual = sum((side - side.mean(axis=1, keepdims=True)).var() * runs / (runs - 1) / (n * runs) for side in values)
    assert got.examples == pytest.approx(difference.mean(axis=1).var(ddof=1) / n, rel=0.06)
    assert got.seeds == pytest.approx(between.sum())
    assert got.seeds - got.residual == pytest.approx(between.sum() - residual, rel=0.05)
    shrunk = (between + between.mean()) / 2
    assert got.degrees == pytest.approx((runs - 1) * shrunk.sum() ** 2 / (shrunk**2).sum())


def test_one_seed_has_no_spread_of_seeds():
    got = spread(np.array([[60.0], [50.0]]), np.random.default_rng(0).normal(size=(2, 100, 1)), 50, floor=0.0)
    assert got.seeds == 0.0 and got.delta == 10.0


def test_a_side_with_one_seed_adds_nothing_to_the_spread_of_the_other():
    rng = np.random.default_rng(0)
    three, draws = np.array([60.0, 62.0, 64.0]), rng.normal(0.0, 1e-9, (100, 3))
    got = spread((three, [50.0]), (draws, rng.normal(0.0, 1e-9, (100, 1))), 50, floor=0.0)
    assert got.seeds == pytest.approx(three.var(ddof=1) / 3) and got.degrees == pytest.approx(2.0)
    both = spread((three, three - 10), (draws, draws), 50, floor=0.0)
    assert both.seeds == pytest.approx(2 * got.seeds) and both.degrees == pytest.approx(4.0)


def test_agreement_is_not_certainty():
    same = spread(np.full((2, 1), 80.0), np.full((2, 200, 1), 80.0), 98, floor=smallest_error(98))
    assert same.half_width(0.025) == pytest.approx(100 * np.sqrt(2) / 100 * stats.t.ppf(0.975, 97))
    assert same.p_value() == 1.0
