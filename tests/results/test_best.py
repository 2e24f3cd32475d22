"""The best condition of each task: the interval of what the choice gains."""

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from bench.inference import best_gain
from bench.simulated import World
from tests.results.synthetic_study import make_study
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.program.commands.compare import command
from xtreme_dag.results.best import best_conditions
from xtreme_dag.results.compare import compare_conditions
from xtreme_dag.results.landing import land
from xtreme_dag.results.query import reader


def test_the_choice_among_equals_gains_nothing_and_its_interval_says_so():
    world = World(conditions=6, seeds=3, n=60, languages=3)
    gain, covered, plain = np.array([best_gain((number, world)) for number in range(100)]).T
    assert covered.mean() > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 100)
    assert abs(gain.mean()) < 3 * gain.std() / 10
    assert plain.mean() > 3 * plain.std() / 10  # what it would be without the other seeds


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("best") / "home"
    made = make_study(
        home, conditions={"none": 0.6, "mixed": 0.8}, tasks={"xnli": "accuracy", "udpos": "tagging"}, seeds=(1, 2, 3)
    )
    land(Home(home), *made.arguments)
    return home


def test_the_gain_is_that_of_the_view(home):
    landed, found = best_conditions(Home(home), resamples=200)
    with reader(Home(home), predictions=False) as connection:
        gains = dict(connection.execute("SELECT task, gain FROM best_per_target").fetchall())
    assert landed.baseline == "none" and {one.task: one.gain.delta for one in found} == pytest.approx(gains)
    assert all(one.gain.low < one.gain.delta < one.gain.high for one in found)


def test_where_all_seeds_choose_one_condition_it_is_the_comparison_with_it(home):
    (one,) = compare_conditions(Home(home), resamples=200)
    effects = {effect.task: effect for effect in one.tasks}
    for best in best_conditions(Home(home), resamples=200)[1]:
        assert set(best.picks.values()) == {"mixed"} and best.picks.keys() == {1, 2, 3}
        assert (best.gain.delta, best.gain.low) == pytest.approx((effects[best.task].delta, effects[best.task].low))


def test_the_gain_beyond_the_languages_of_the_mix_is_told_apart(tmp_path):
    """`mixed` was trained on the task in one of the languages and gains there alone."""
    made = make_study(
        tmp_path, conditions={"none": 0.5, "mixed": 0.9}, tasks={"xnli": "accuracy"}, seeds=(1, 2, 3), n=200
    )
    rows = made.evaluations
    for place, row in enumerate(rows):
        known = "same task" if (row.condition, row.language) == ("mixed", "en") else "none"
        rows[place] = replace(row, supervision=known)
    land(Home(tmp_path), *made.arguments)
    (one,) = best_conditions(Home(tmp_path), resamples=200)[1]
    with reader(Home(tmp_path), predictions=False) as connection:
        query = "SELECT gain, gain_unseen FROM best_per_target"
        assert connection.execute(query).fetchone() == pytest.approx((one.gain.delta, one.unseen.delta))
        each = dict(connection.execute("SELECT language, delta FROM deltas WHERE split = 'test'").fetchall())
    assert one.unseen.delta == pytest.approx((each["de"] + each["sw"]) / 2) != pytest.approx(one.gain.delta)
    said = CliRunner().invoke(command, ["--best", "--home", str(tmp_path)]).stdout
    assert f"{one.unseen.delta:+.2f}" in said and f"{one.gain.delta:+.2f}" in said


def test_one_seed_says_nothing_of_the_choice(tmp_path):
    made = make_study(tmp_path, seeds=(1,), tasks={"xnli": "accuracy"})
    land(Home(tmp_path), *made.arguments)
    (one,) = best_conditions(Home(tmp_path))[1]
    assert one.gain is None and "gain" not in one.to_json()


def test_a_study_without_dev(tmp_path):
    made = make_study(tmp_path, splits=("test",), tasks={"xnli": "accuracy"})
    land(Home(tmp_path), *made.arguments)
    with pytest.raises(UserError, match="no scores on dev"):
        best_conditions(Home(tmp_path))
