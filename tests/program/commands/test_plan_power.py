"""`xtreme-dag plan --power`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.program.commands.landed_home import land_home
from tests.results.synthetic_study import in_groups, make_study
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.program.commands.plan import command
from xtreme_dag.results.landing import land
from xtreme_dag.tables.predictions import CLUSTER_IF_ASKED

DEMO = Path(__file__).parents[3] / "studies" / "demo.yaml"
STATED = ("--accuracy", "60", "--seed-spread", "0.5")


def run(home, *arguments):
    command_line = [str(DEMO), "--home", str(home), "--set", "targets=[xnli, udpos]", *arguments]
    return CliRunner().invoke(command, command_line, catch_exceptions=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return land_home(tmp_path_factory.mktemp("power") / "home", name="earlier", seeds=(1, 2, 3))


def test_a_pilot_says_what_the_study_would_find(home):
    found = json.loads(run(home, "--power", "--json").output)["power"]
    assert found["source"] == "the variance of study earlier" and found["seeds"] == 3 and found["unknown"] == []
    # Three conditions against the baseline, each with unseen and seen languages on both tasks.
    assert found["claims"] == {"tasks": 12, "means": 6}
    # The comparison that the study names trains xnli in three of the five other languages.
    assert [(row["task"], row["n"]) for row in found["found"]] == [("xnli", 600), ("udpos", 1500), (None, 2100)]


def test_what_is_stated_as_a_table(tmp_path):
    output = run(tmp_path / "home", "--power", *STATED).output
    assert "power, from accuracies of 60 % that vary by 0.5 points" in output
    assert any(line.split()[:2] == ["xnli", "600"] for line in output.splitlines())
    assert "corrected for 12 claims about tasks and 6 about their mean" in output


def test_stated_figures_say_nothing_of_examples_that_are_drawn_in_groups(tmp_path):
    targets = ("--power", *STATED, "--set", "targets=[xnli, mwoz, xquad]", "--set", "languages=[en, qaa]")
    found = json.loads(run(tmp_path, *targets, "--json").output)["power"]
    assert [row["task"] for row in found["found"]] == ["xnli", "xquad"] and found["unknown"] == ["mwoz"]
    output = run(tmp_path, *targets, "--set", "compare.clusters=true").output
    assert "note: of mwoz, xquad nothing is said without a pilot: the examples are drawn in groups" in output
    assert "no variance, or no number of examples" not in output


def test_a_pilot_is_compared_as_the_study_will_be(tmp_path):
    made = make_study(tmp_path, name="earlier", tasks={"xquad": "answers"}, seeds=(1, 2, 3), n=200, splits=("test",))
    in_groups(made, CLUSTER_IF_ASKED, of=10)
    land(Home(tmp_path), *made.arguments)

    def found(*arguments):
        options = ("--power", "--set", "targets=[xquad]", *arguments, "--json")
        return json.loads(run(tmp_path, *options).output)["power"]["found"][0]["found"]

    assert found("--set", "compare.clusters=true") > found()


def test_more_seeds_find_less(tmp_path):
    def found(*arguments):
        return json.loads(run(tmp_path, "--power", *STATED, "--json", *arguments).output)["power"]["found"][0]["found"]

    assert found("--set", "seeds=[1,2,3,4,5,6]") < found()


def test_without_a_pilot_it_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"there is no pilot.*\n.*--accuracy 70 --seed-spread 1"):
        run(tmp_path / "home", "--power")


def test_a_pilot_that_says_nothing_of_seeds(tmp_path):
    with pytest.raises(UserError, match="does not say how far runs differ"):
        run(land_home(tmp_path / "home", seeds=(1,)), "--power")


@pytest.mark.parametrize("arguments", [STATED, ("--power", *STATED[:2]), ("--power", "--pilot", "x", *STATED)])
def test_options_that_go_together(tmp_path, arguments):
    done = run(tmp_path / "home", *arguments)
    assert done.exit_code == 2 and "Error: --" in done.stderr
