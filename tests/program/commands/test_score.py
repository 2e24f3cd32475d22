"""`xtreme-dag score`: figures on stdout, warnings on stderr."""

import json

import pytest
from click.testing import CliRunner

from xtreme_dag.core.errors import UserError
from xtreme_dag.program.commands.score import command


@pytest.fixture
def folders(tmp_path):
    for side, last in (("labels", "neutral"), ("predictions", "entailment")):
        folder = tmp_path / side / "xnli"
        folder.mkdir(parents=True)
        for language in ("en", "de"):
            (folder / f"test-{language}.tsv").write_text(f"entailment\n{last}\n", encoding="utf-8")
    return tmp_path / "predictions", tmp_path / "labels"


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)


def test_json(folders):
    found = run("--predictions", folders[0], "--labels", folders[1], "--json")
    assert found.exit_code == 0
    report = json.loads(found.stdout)
    assert report["tasks"] == {"xnli": {"de": {"accuracy": 50.0}, "en": {"accuracy": 50.0}}}
    assert report["averages"]["tasks"]["xnli"]["avg_accuracy"] == 50.0
    assert "mlqa: not scored, there are no predictions and no labels" in report["warnings"]
    assert "en" not in report["averages"]["partial"]["tasks.xnli"]


def test_text(folders):
    found = run("--predictions", folders[0], "--labels", folders[1], "--benchmark", "xtreme-r")
    assert found.exit_code == 0
    lines = found.stdout.splitlines()
    assert lines[0].split() == ["xnli", "accuracy"]
    assert any(line.split() == ["average*", "50.00"] for line in lines)
    assert any(line.split() == ["without_retrieval*", "50.00"] for line in lines)
    assert any(line.startswith("  tasks.xnli lacks ar") for line in lines)
    assert "warning: xnli: no predictions and no labels for ar" in found.stderr


def test_a_file_that_cannot_be_scored_is_an_error(folders):
    (folders[0] / "xnli" / "test-en.tsv").write_text("entailment\n", encoding="utf-8")
    with pytest.raises(UserError, match="1 lines for 2 labels"):
        run("--predictions", folders[0], "--labels", folders[1])


def test_a_folder_that_is_not_there(tmp_path):
    found = run("--predictions", tmp_path / "nowhere", "--labels", tmp_path)
    assert found.exit_code == 2
    assert "does not exist" in found.stderr


def test_help_has_an_example():
    found = run("--help")
    assert found.exit_code == 0
    assert "xtreme-dag score --predictions submission --labels labels" in found.stdout


@pytest.mark.real
def test_the_mock_submission(shared):
    mock = shared / "golden" / "xtreme_mock"
    found = run("--predictions", mock / "predictions", "--labels", mock / "labels", "--json")
    assert json.loads(found.stdout)["averages"]["overall"]["all_task"] == pytest.approx(62.193264908, abs=1e-6)
