"""`xtreme-dag report`."""

import json

import pytest
from click.testing import CliRunner

from tests.program.commands.landed_home import land_home
from xtreme_dag.core.errors import UserError
from xtreme_dag.program.commands.report import command


def run(home, *arguments):
    return CliRunner().invoke(command, ["--home", str(home), *map(str, arguments)], catch_exceptions=False)


def test_a_report_of_each_study(tmp_path):
    home = land_home(tmp_path / "home", name="one")
    land_home(home, name="two", seed=1)
    done = run(home)
    assert done.output.splitlines() == [str(home / "reports" / name) for name in ("one.html", "two.html")]
    assert (home / "reports" / "one.html").read_text().startswith("<!doctype html>")
    out = tmp_path / "there" / "report.html"
    assert json.loads(run(home, "--study", "two", "-o", out, "--json").output) == [{"study": "two", "file": str(out)}]
    assert out.is_file()
    with pytest.raises(UserError, match="one file for 2 studies"):
        run(home, "-o", out)
    with pytest.raises(UserError, match="no study 'tow' has landed"):
        run(home, "--study", "tow")
