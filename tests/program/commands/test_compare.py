"""`xtreme-dag compare`."""

import json

import pytest
from click.testing import CliRunner

from tests.program.commands.landed_home import land_home
from xtreme_dag.core.errors import UserError
from xtreme_dag.program.commands.compare import command
from xtreme_dag.study.file import Compare


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return land_home(tmp_path_factory.mktemp("compare") / "home", n=200)


def run(home, *arguments):
    return CliRunner().invoke(command, ["--home", str(home), "--resamples", "200", *arguments], catch_exceptions=False)


def test_a_table_with_intervals_and_a_sentence(home):
    done = run(home)
    lines = done.output.splitlines()
    assert done.exit_code == 0 and lines[0].startswith("english beats none by ")
    assert "95% interval" in lines[2] and "needed" in lines[2] and "McNemar" not in done.output
    assert [line.split()[0] for line in lines[4:8]] == ["udpos", "xnli", "xquad", "all"]
    assert "mixed beats none by" in done.output


def test_languages_and_the_exact_test(home, tmp_path):
    arguments = ("--languages", "--condition", "mixed", "--task", "xnli")
    assert "McNemar" not in run(home, *arguments).output
    lines = run(land_home(tmp_path / "home", n=200, seeds=(1,)), *arguments).output.splitlines()
    assert "McNemar" in lines[2] and [line.split()[1] for line in lines[4:8]] == ["all", "de", "en", "sw"]


def test_json(home):
    found = json.loads(run(home, "--json", "--baseline", "english", "--condition", "mixed").output)
    assert [(one["condition"], one["baseline"]) for one in found] == [("mixed", "english")]
    effect = found[0]["tasks"][0]
    assert effect["low"] < effect["delta"] < effect["high"] and effect["verdict"] in ("better", "worse", "open")
    assert len(found[0]["languages"]) == 9 and found[0]["overall"]["n"] == 9 * 200
    assert found[0]["sentence"].startswith("mixed ")


def test_level_metric_and_split(home):
    assert "90% interval" in run(home, "--confidence", "0.9").output
    assert "token_accuracy" in run(home, "--task", "udpos", "--metric", "token_accuracy").output
    with pytest.raises(UserError, match="no condition 'none' with scores"):
        run(home, "--split", "dev")


def test_help_has_an_example():
    assert "xtreme-dag compare --task xnli --json" in CliRunner().invoke(command, ["--help"]).output


def test_the_best_condition_of_each_task_with_its_gain(tmp_path):
    home = land_home(tmp_path / "home", splits=("dev", "test"), tasks={"xnli": "accuracy"})
    (one,) = json.loads(run(home, "--best", "--json").output)
    assert one["task"] == "xnli" and one["low"] <= one["gain"] <= one["high"] and set(one["picks"]) == {"1", "2"}
    lines = run(home, "--best").output.splitlines()
    assert lines[0].split()[:2] == ["task", "best"] and lines[2].split()[:3] == ["xnli", one["condition"], "2"]
    refused = CliRunner().invoke(command, ["--home", str(home), "--best", "--task", "xnli"])
    assert refused.exit_code == 2 and "leave out --task" in refused.stderr


def test_what_was_needed_is_told_only_where_nothing_was_found(home):
    comparisons = json.loads(run(home, "--json", "--languages").output)
    lines = [
        line
        for line in run(home).output.splitlines()
        if line.split()[:1] and line.split()[0] in ("udpos", "xnli", "xquad", "all")
    ]
    place = run(home).output.splitlines()[2].index("needed")
    told = [effect for one in comparisons for effect in [*one["tasks"], one["overall"]]]
    assert {effect["verdict"] for effect in told} >= {"better"}
    for line in lines:
        assert not (line.endswith(("better", "worse")) and line[place : place + 6].strip())


def test_help_states_the_defaults_that_studies_have():
    text = " ".join(CliRunner().invoke(command, ["--help"]).output.split())
    fields = Compare.model_fields
    assert f"compare.resamples of the study file, {fields['resamples'].default} if not given" in text
    assert f"compare.confidence of the study file, {fields['confidence'].default} if not given" in text
