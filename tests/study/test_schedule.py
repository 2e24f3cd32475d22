"""The order of examples: a pure function of (seed, step), every example as often as the epochs say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xtreme_dag.study.schedule import Schedule, Stream

SCHEDULES = st.fixed_dictionaries(
    {
        "sizes": st.lists(st.integers(1, 50), min_size=1, max_size=4),
        "seed": st.integers(0, 1000),
        "batch_size": st.integers(1, 16),
        "epochs": st.integers(1, 4),
        "mixing": st.sampled_from(["step", "within"]),
    }
)


def schedule(sizes, **settings):
    return Schedule(sizes, **{"steps": None, "epochs": 1, **settings})


def counts(plan, sizes):
    """How often each position of each task comes."""
    seen = [np.zeros(size, int) for size in sizes]
    for step in range(plan.steps):
        for share in plan.batch(step):
            np.add.at(seen[share.task], share.positions, 1)
    return seen


@settings(max_examples=60, deadline=None)
@given(SCHEDULES)
def test_every_example_comes_once_per_epoch(given_settings):
    plan = schedule(**given_settings)
    for seen in counts(plan, given_settings["sizes"]):
        assert (seen == given_settings["epochs"]).all()
    for step in range(plan.steps):
        shares = plan.batch(step)
        assert shares and all(len(share.positions) for share in shares)
        assert sum(len(share.positions) for share in shares) <= given_settings["batch_size"]
        assert given_settings["mixing"] == "within" or len(shares) == 1


@settings(max_examples=30, deadline=None)
@given(SCHEDULES, st.randoms())
def test_a_step_needs_no_step_before_it(given_settings, random):
    """Any step, asked for in any order and by a fresh object, is the same."""
    one, two = schedule(**given_settings), schedule(**given_settings)
    steps = list(range(one.steps))
    forwards = [[(share.task, share.positions.tolist()) for share in one.batch(step)] for step in steps]
    random.shuffle(steps)
    for step in steps:
        assert [(share.task, share.positions.tolist()) for share in two.batch(step)] == forwards[step]


def test_a_number_of_steps_takes_the_place_of_epochs():
    plan = schedule([30, 10], seed=1, batch_size=8, steps=12, mixing="step")
    assert plan.steps == 12
    tasks = [plan.batch(step)[0].task for step in range(12)]
    assert tasks.count(0) == 9 and tasks.count(1) == 3
    assert all(len(plan.batch(step)[0].positions) == 8 for step in range(12))
    within = schedule([30, 10], seed=1, batch_size=8, steps=12, mixing="within")
    assert sum(seen.sum() for seen in counts(within, [30, 10])) == 96


def test_shares_over_many_draws():
    """100,000 draws: the observed shares are the stated ones, within binomial error (here they are exact)."""
    sizes = [50_000, 30_000, 20_000]
    plan = schedule(sizes, seed=4, batch_size=32, mixing="within")
    first = np.zeros(3)
    for step in range(200):
        for share in plan.batch(step):
            first[share.task] += len(share.positions)
    expected = np.array([0.5, 0.3, 0.2])
    error = 3 * np.sqrt(expected * (1 - expected) / first.sum())
    assert (np.abs(first / first.sum() - expected) < error).all(), "tasks should come in their shares from the start"
    assert [seen.sum() for seen in counts(plan, sizes)] == sizes


def test_seeds_and_epochs_have_their_own_order():
    stream = Stream(size=50, seed=1, name=0)
    one, two = stream.take(0, 50).tolist(), stream.take(50, 50).tolist()
    assert sorted(one) == sorted(two) == list(range(50)) and one != two
    assert Stream(size=50, seed=2, name=0).take(0, 50).tolist() != one
    assert Stream(size=50, seed=1, name=1).take(0, 50).tolist() != one
    assert stream.take(40, 20).tolist() == one[40:] + two[:10]


@pytest.mark.parametrize("mixing", ["step", "within"])
def test_only_the_last_batch_is_short(mixing):
    plan = schedule([33], seed=0, batch_size=10, epochs=3, mixing=mixing)
    sizes = [len(plan.batch(step)[0].positions) for step in range(plan.steps)]
    assert sizes == [10] * 9 + [9]
