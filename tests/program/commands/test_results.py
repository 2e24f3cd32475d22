"""`xtreme-dag results`."""

import json

from click.testing import CliRunner

from tests.program.commands.landed_home import land_home
from xtreme_dag.program.commands.results import command


def run(*arguments):
    return CliRunner().invoke(command, [str(one) for one in arguments], catch_exceptions=False)


def test_rebuild(tmp_path):
    home = land_home(tmp_path / "home")
    (home / "results.duckdb").unlink()
    done = run("rebuild", "--home", home)
    assert done.exit_code == 0 and done.output == "demo: landed, 54 evaluations, 144 scores, 76 stages\n"
    assert json.loads(run("rebuild", "--json", "--home", home).output)[0]["evaluations"] == 54


def test_rebuild_of_nothing(tmp_path):
    assert run("rebuild", "--home", tmp_path / "home").output == "no study has landed yet\n"


def test_add(tmp_path):
    home, other = land_home(tmp_path / "home"), land_home(tmp_path / "other", seed=3)
    done = run("add", other, "--label", "box2", "--home", home)
    assert done.output == "box2:demo: landed, 54 evaluations, 144 scores, 76 stages\n"
    assert "box2:demo: unchanged" in run("add", other, "--label", "box2", "--home", home).output


def test_help_has_examples():
    for arguments in (["--help"], ["rebuild", "--help"], ["add", "--help"]):
        assert "xtreme-dag results" in run(*arguments).output
