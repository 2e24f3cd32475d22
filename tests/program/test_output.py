"""What commands print: JSON or text, tables that are aligned on a terminal and whole in a pipe."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import click
from click.testing import CliRunner

from xtreme_dag.program import commands, output
from xtreme_dag.program.cli import COMMANDS
from xtreme_dag.program.output import Answer, answers, say, table

TOY = '''"""`xtreme-dag toy`: count to a number."""

import click

from xtreme_dag.program.output import Answer, answers


@click.command()
@click.argument("number", type=int)
@answers
def command(number: int) -> Answer:
    """Count to NUMBER.

    Example: xtreme-dag toy 3
    """
    return Answer(value=list(range(number)), text=map(str, range(number)))
'''


@click.command()
@click.option("--bad", is_flag=True)
@answers
def toy(bad: bool) -> Answer:
    say("counting")
    return Answer(value={"at": Path("x"), "text": "ä"}, text=["one", "two"], warnings=["three"], ok=not bad)


def test_text_has_warnings_on_stderr():
    done = CliRunner().invoke(toy, [])
    assert (done.exit_code, done.stdout, done.stderr) == (0, "one\ntwo\n", "counting\nwarning: three\n")


def test_json_is_one_document_and_nothing_else():
    done = CliRunner().invoke(toy, ["--json", "--bad"])
    assert done.exit_code == 1 and done.stderr == ""
    assert json.loads(done.stdout) == {"at": "x", "text": "ä"} and "ä" in done.stdout


def test_a_table_in_a_pipe_is_never_folded_or_coloured():
    long = "word " * 100 + "end"
    lines = table(["name", "n"], [[long, "1"], ["[red]x[/red]", "10"]], right={1}).splitlines()
    assert len(lines) == 4 and "\x1b" not in "".join(lines) and lines[0].startswith("name ")
    assert lines[2] == f"{long}   1" and lines[3].split() == ["[red]x[/red]", "10"]


def test_columns_are_aligned_by_what_a_terminal_shows():
    wide, narrow = table(["a", "b"], [["日本", "x"], ["abcd", "x"]]).splitlines()[2:]
    assert (wide, narrow) == ("日本  x", "abcd  x")


def test_a_table_on_a_terminal_fits_it(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(output.sys.stdout, "isatty", lambda: True, raising=False)
    text = click.unstyle(table(["name", "n"], [["word " * 30, "1"]]))
    assert max(map(len, text.splitlines())) <= 40 and text.count("word") == 30


def test_every_module_with_a_command_is_one():
    modules = {path.stem for path in Path(commands.__path__[0]).glob("[a-z]*.py")}
    found = {name for name in modules if hasattr(importlib.import_module(f"{commands.__name__}.{name}"), "command")}
    assert found == {module for module, _line in COMMANDS.values()}


def test_a_command_is_one_file(repository, tmp_path):
    copy = tmp_path / "xtreme_dag"
    shutil.copytree(repository / "xtreme_dag", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "program" / "commands" / "toy.py").write_text(TOY)

    def call(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "xtreme_dag", *arguments], cwd=tmp_path, env={}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "  toy            Count to a number.\n" in call("--help")
    assert call("toy", "2") == "0\n1\n" and json.loads(call("toy", "2", "--json")) == [0, 1]
