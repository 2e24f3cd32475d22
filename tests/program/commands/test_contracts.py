"""`xtreme-dag contracts`, as a person and as a program call it."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
from click.testing import CliRunner

from tests.data import release_files as release
from xtreme_dag.contracts.odcs import FOLDER, contract_path
from xtreme_dag.core.errors import UserError
from xtreme_dag.program.commands.contracts import command


def call(*arguments: str):
    return CliRunner().invoke(command, [str(one) for one in arguments])


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    """A home of its own: nothing is cached."""
    monkeypatch.setenv("XTREME_DAG_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def weakened(tmp_path):
    """The contract of XNLI with its first rule turned into a warning."""
    path = tmp_path / "xnli.odcs.yaml"
    path.write_text(contract_path("xnli").read_text().replace("severity: error", "severity: warning", 1))
    return path


def test_ls():
    done = call("ls")
    assert done.exit_code == 0
    assert re.search(r"^xnli +1\.0\.0 +not_empty, ids_unique", done.output, re.MULTILINE)
    assert {one["dataset"] for one in json.loads(call("ls", "--json").output)} >= {"xnli", "panx"}


def test_lint_is_clean_and_says_what_is_not(tmp_path):
    done = call("lint")
    assert (done.exit_code, done.output.splitlines()[-1].endswith("contracts, 0 mistakes")) == (0, True)
    wrong = tmp_path / "xnli.odcs.yaml"
    wrong.write_text(contract_path("xnli").read_text().replace("version: 1.0.0", "version: one"))
    done = call("lint", wrong)
    assert done.exit_code == 1
    assert "xnli.odcs.yaml: version 'one' is not of the form MAJOR.MINOR.PATCH" in done.output
    report = json.loads(call("lint", wrong, "--json").output)
    assert report["ok"] is False


def test_diff_fails_on_a_breaking_change_without_a_major_bump(weakened):
    done = call("diff", contract_path("xnli"), weakened)
    assert done.exit_code == 1
    assert "xnli: breaking" in done.output
    assert "rule not_empty.severity: error -> warning" in done.output
    assert "asks for a major version bump; 1.0.0 -> 1.0.0: NOT ENOUGH" in done.output
    weakened.write_text(weakened.read_text().replace("version: 1.0.0", "version: 2.0.0"))
    done = call("diff", contract_path("xnli"), weakened)
    assert (done.exit_code, "enough" in done.output) == (0, True)
    (entry,) = json.loads(call("diff", contract_path("xnli"), weakened, "--json").output)
    assert (entry["kind"], entry["asked"], entry["given"], entry["enough"]) == ("breaking", "major", "major", True)


def test_diff_of_folders_and_of_what_did_not_change(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    for folder, names in ((old, ("xnli", "panx")), (new, ("xnli", "copa"))):
        folder.mkdir()
        for name in names:
            (folder / f"{name}.odcs.yaml").write_text(contract_path(name).read_text())
    done = call("diff", old, new)
    assert done.exit_code == 1
    assert "copa: additive" in done.output
    assert "panx: breaking" in done.output
    assert "xnli" not in done.output
    same = call("diff", old, old)
    assert (same.exit_code, same.output.strip()) == (0, "no changes")


def test_diff_of_a_file_and_a_folder_takes_the_namesake_there(weakened, tmp_path):
    done = call("diff", contract_path("xnli"), tmp_path)
    assert done.exit_code == 1
    assert [line for line in done.output.splitlines() if not line.startswith(" ")] == ["xnli: breaking"]
    assert call("diff", tmp_path, contract_path("xnli")).exit_code == 1


def test_diff_of_a_folder_without_contracts_is_an_error_and_not_no_changes(weakened, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no contracts (*.odcs.yaml) in it" in str(call("diff", empty, empty).exception)
    assert "no contract xnli.odcs.yaml in it" in str(call("diff", weakened, empty).exception)


def test_diff_needs_something_to_compare(weakened):
    assert isinstance(call("diff").exception, UserError)
    assert isinstance(call("diff", weakened).exception, UserError)


def test_diff_against_a_commit():
    done = call("diff", "--base", "no-such-commit")
    assert isinstance(done.exception, UserError)
    git = ["git", "-C", str(FOLDER), "ls-tree", "--name-only", "HEAD", "./"]
    if subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip():
        done = call("diff", "--base", "HEAD", "--json")
        assert done.exit_code in (0, 1)
        assert isinstance(json.loads(done.output), list)


def test_diff_names_the_stages_that_run_again(weakened, tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(
        "study: tiny\nquestion: does it help?\ndata: {miniworld: {languages: [en, qaa]}}\n"
        "model: {pretrain: {kind: planted, seed: 1}}\nseeds: [1]\nintermediate: {none: {description: nothing}}\ntargets: [xnli]\n"
        "recipe: quick\ncompare: {baseline: none}\n"
    )
    done = call("diff", contract_path("xnli"), weakened, "--study", study, "--json")
    assert not isinstance(done.exception, UserError), str(done.exception)
    (entry,) = json.loads(done.output)
    assert "check[xnli | en | test]" in entry["stages"]["runs_again"]
    assert "check[mnli | en | train]" not in entry["stages"]["runs_again"]
    assert any(name.startswith("evaluate[xnli") for name in entry["stages"]["waits"])
    assert "runs again: check[xnli" in call("diff", contract_path("xnli"), weakened, "--study", study).output


def test_docs_is_one_page_that_loads_nothing(tmp_path):
    release.xnli(tmp_path / "data", ("de", "en"))
    page = tmp_path / "page.html"
    done = call("docs", "--source", f"folder:{tmp_path / 'data'}", "--dataset", "xnli", "-o", page)
    assert done.exit_code == 0, done.output
    html = page.read_text()
    assert not re.search(r"(src|href)=[\"'](?!#)", html)
    assert "@import" not in html
    assert "url(" not in html
    assert '<span class="bad">rows_as_published</span>' in html
    assert "tables, " in html


def test_docs_from_outcomes_and_without(tmp_path):
    page = tmp_path / "page.html"
    assert call("docs", "-o", page).exit_code == 0
    assert "nothing was checked" in page.read_text()
    table = {
        "dataset": "copa", "language": "en", "split": "test", "use": "test", "ok": True, "rows": 5, "read": 5,
        "stand_in": "<b>bold</b>", "notes": [], "rules": [],
    }  # fmt: skip
    outcomes = tmp_path / "check.json"
    outcomes.write_text(json.dumps({"tables": [table]}))
    assert call("docs", "--outcomes", outcomes, "--dataset", "copa", "-o", page).exit_code == 0
    assert "&lt;b&gt;bold&lt;/b&gt;" in page.read_text()
    assert "all satisfied" in page.read_text()


def test_docs_make_the_folder_of_their_page_and_say_where_it_cannot_be(tmp_path):
    assert call("docs", "-o", tmp_path / "new" / "page.html").exit_code == 0
    assert (tmp_path / "new" / "page.html").is_file()
    (tmp_path / "file").write_text("")
    assert "cannot be written" in str(call("docs", "-o", tmp_path / "file" / "page.html").exception)


def test_docs_of_a_file_that_holds_no_outcomes(tmp_path):
    wrong = tmp_path / "check.json"
    wrong.write_text("[]")
    assert "not what `data check --json` prints" in str(call("docs", "--outcomes", wrong).exception)


def test_data_docs_of_great_expectations_on_request(tmp_path):
    release.xcopa(tmp_path / "data", ("et",))
    site = tmp_path / "site"
    done = call("docs", "--source", f"folder:{tmp_path / 'data'}", "--dataset", "xcopa", "--data-docs", site,
                "-o", tmp_path / "page.html")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert (site / "index.html").is_file()
    assert list((site / "validations").rglob("*.html"))
    assert isinstance(call("docs", "--data-docs", site).exception, UserError)


@pytest.mark.parametrize("name", ["ls", "lint", "diff", "docs"])
def test_help_has_an_example(name):
    done = call(name, "--help")
    assert done.exit_code == 0
    assert f"Example: xtreme-dag contracts {name}" in done.output
