"""Shares, caps and temperatures: what is drawn is what was asked for."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xtreme_dag.study.budget import Sampling, apportion, draw_order
from xtreme_dag.study.schedule import Schedule

SIZES = [392_702, 131_072, 40_000, 9_741]


def weights(**rule):
    return Sampling.from_params(rule, where="test").weights(SIZES, [None] * len(SIZES), where="test")


def test_observed_shares_over_a_hundred_thousand_draws():
    """Tasks of the batches of a fifth of a run that mixes within steps, against the stated shares."""
    shares = np.array([0.5, 0.3, 0.15, 0.05])
    schedule = Schedule(list(apportion(500_000, shares)), seed=3, batch_size=50, epochs=1, steps=None, mixing="within")
    counts = np.zeros(4)
    for step in range(2_000):
        for share in schedule.batch(step):
            counts[share.task] += len(share.positions)
    assert counts.sum() == 100_000
    error = np.sqrt(shares * (1 - shares) / 100_000)
    assert (np.abs(counts / 100_000 - shares) < 4 * error).all()


def test_one_task_a_step_keeps_the_shares_of_the_steps():
    schedule = Schedule([8_000, 2_000], seed=1, batch_size=10, epochs=10, steps=None, mixing="step")
    tasks = [schedule.batch(step)[0].task for step in range(schedule.steps)]
    assert all(len(schedule.batch(step)) == 1 for step in range(0, schedule.steps, 97))
    assert abs(np.mean(tasks[:5_000]) - 0.2) < 4 * math.sqrt(0.2 * 0.8 / 5_000)
    assert np.mean(tasks) == 0.2


def test_temperature_one_is_proportional_and_without_end_uniform():
    proportional = weights(rule="proportional")
    assert proportional == pytest.approx(np.array(SIZES) / sum(SIZES))
    assert weights(rule="temperature", temperature=1.0) == pytest.approx(proportional)
    assert weights(rule="temperature", temperature=1e9) == pytest.approx(weights(rule="uniform"))
    assert weights(rule="uniform") == pytest.approx([0.25] * 4)


def test_a_cap_caps():
    capped = weights(rule="proportional", cap=131_072)
    assert capped[0] == capped[1]
    assert capped[2] / capped[1] == pytest.approx(40_000 / 131_072)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=8), st.integers(0, 100_000))
def test_counts_sum_and_are_within_one_of_the_shares(sizes, total):
    share = np.array(sizes) / sum(sizes)
    counts = apportion(total, share)
    assert counts.sum() == total and (np.abs(counts - total * share) < 1).all()


@settings(max_examples=50, deadline=None)
@given(st.sets(st.text("abc", min_size=1, max_size=6), min_size=2, max_size=30), st.integers(0, 50))
def test_a_smaller_draw_is_a_part_of_a_larger_one_whatever_else_is_there(names, seed):
    names = sorted(names)
    order = [names[row] for row in draw_order(names, seed=seed, dataset="d", language="en", items="disjoint")]
    fewer = names[: len(names) // 2]
    among = [fewer[row] for row in draw_order(fewer, seed=seed, dataset="d", language="qaa", items="disjoint")]
    assert [name for name in order if name in set(fewer)] == among
