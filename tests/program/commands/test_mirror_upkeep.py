"""`verify --mirror` and `gc --mirror`: a mirror is looked after by the program, and nothing goes without --yes."""

import json
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.engine.conftest import pool, toy  # noqa: F401  # fixtures
from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.local import run_local
from xtreme_dag.engine.mirror import VARIABLE, Mirror
from xtreme_dag.program.commands import gc, verify


@pytest.fixture
def filled(toy, pool, tmp_path):  # noqa: F811
    """A mirror with two runs of a graph, the second of which has replaced four of seven records."""
    url = str(tmp_path / "mirror")
    run_local(toy.graph(), toy.executor(pool, mirror=Mirror(url)))
    toy.raw["a"].write_text("other\n")
    run_local(toy.graph(), toy.executor(pool, mirror=Mirror(url)))
    return url


def call(command, *arguments, home):
    done = CliRunner().invoke(command, [*arguments, "--home", str(home), "--json"])
    return done.exit_code, json.loads(done.stdout) if done.stdout else done.exception


def test_verify_removes_or_mends_what_is_damaged(filled, toy, tmp_path, monkeypatch):  # noqa: F811
    assert call(verify.command, "--mirror", filled, home=tmp_path / "other") == (
        0,
        {"records": 10, "artifacts": 10, "damaged": []},
    )
    [path] = [path for path in Path(filled).rglob("text.txt") if path.read_text() == "b."]
    path.write_text("c.")
    monkeypatch.setenv(VARIABLE, filled)
    code, told = call(verify.command, "--mirror", "", home=toy.home.root)
    assert code == 1 and [(each["name"], each["mended"]) for each in told["damaged"]] == [("encode[b]", True)]
    assert call(verify.command, "--mirror", filled, home=tmp_path / "other")[0] == 0
    assert path.read_text() == "b."


def test_gc_takes_what_is_old_and_not_needed_and_only_if_it_is_told_to(filled, toy):  # noqa: F811
    keep = ("--mirror", filled, "--older-than", "1")
    assert call(gc.command, *keep, "--yes", home=toy.home.root)[1]["records"] == 0, "all is young"
    for path in Path(filled).rglob("*"):
        os.utime(path, (time.time() - 7200,) * 2)
    before = {path for path in Path(filled).rglob("*") if path.is_file()}
    code, told = call(gc.command, *keep, home=toy.home.root)
    # The home's ledger names all of both runs as young; another home needs nothing of it.
    assert code == 0 and told["records"] == 0
    code, told = call(gc.command, *keep, home=toy.home.root.parent / "other")
    assert code == 0 and told["records"] == 10 and told["removed"] is False
    assert {path for path in Path(filled).rglob("*") if path.is_file()} == before
    code, told = call(gc.command, *keep, "--yes", home=toy.home.root.parent / "other")
    assert code == 0 and told["removed"] and not list((Path(filled) / "records").rglob("*.json"))


@pytest.mark.parametrize("command", [verify.command, gc.command])
def test_without_a_url_nothing_is_touched(command, tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    error = call(command, "--mirror", "", home=tmp_path)[1]
    assert isinstance(error, UserError) and "names no URL" in str(error)
