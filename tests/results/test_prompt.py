"""The interactive form: completion, unfinished statements, mistakes, leaving."""

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from xtreme_dag.core.home import Home
from xtreme_dag.results.landing import land
from xtreme_dag.results.prompt import SqlCompleter, interact, is_finished
from xtreme_dag.results.query import reader


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    from tests.results.synthetic_study import make_study

    home = tmp_path_factory.mktemp("prompt") / "home"
    land(Home(home), *make_study(home, n=5).arguments)
    with reader(Home(home)) as one:
        yield one


def completions(connection, text):
    document = Document(text, len(text))
    return {
        one.text: one.display_meta_text for one in SqlCompleter(connection).get_completions(document, CompleteEvent())
    }


def test_tables_columns_macros_and_keywords_are_completed(connection):
    assert completions(connection, "SELECT * FROM lead") == {"leaderboard": "table"}
    assert completions(connection, "SELECT baseline_v") == {"baseline_value": "column"}
    assert completions(connection, "FROM line") == {"lineage(": "macro"}
    assert "SELECT" in completions(connection, "sel")
    assert completions(connection, "SELECT ") == {}


def test_values_are_completed_inside_quotes(connection):
    assert completions(connection, "FROM deltas WHERE task = 'xn") == {"xnli": "value"}
    assert set(completions(connection, "FROM deltas WHERE condition = 'm")) == {"mixed"}
    assert completions(connection, "FROM deltas WHERE task = 'xnli' AND lang") == {
        "language": "column",
        "languages": "table",
        "languages_up": "column",
    }


@pytest.mark.parametrize(
    ("text", "finished"),
    [("", True), ("SELECT 1", True), ("SELECT 1;", True), ("exit", True), ("SELECT", False), ("SELECT (1 +", False),
     ("SELECT 'open", False), ("FROM scores", True), ("\\q", True)],
)  # fmt: skip
def test_enter_runs_what_is_finished(connection, text, finished):
    assert is_finished(connection, text) is finished


def test_a_session(connection, capsys, tmp_path):
    with create_pipe_input() as keys:
        keys.send_text("SELECT 40 + 2 AS answer\r")
        keys.send_text("SELECT count(*) AS n\rFROM conditions\r")  # Enter does not run the first line alone: it parses
        keys.send_text("SELECT *\rFROM conditions WHERE condition = 'mixed'\r")  # nor this one: it does not
        keys.send_text("INSERT INTO scores SELECT 1\r")
        keys.send_text("SELECT nonsense\r")
        keys.send_text("\r")
        keys.send_text("exit\r")
        interact(connection, "table", history=tmp_path / "history", source=keys, sink=DummyOutput())
    shown = capsys.readouterr().out
    assert "42" in shown and "(1 row)" in shown
    assert "INSERT is refused" in shown and "nonsense" in shown
    assert "SELECT 40 + 2 AS answer" in (tmp_path / "history").read_text()


def test_ctrl_d_leaves_and_ctrl_c_does_not(connection, capsys):
    with create_pipe_input() as keys:
        keys.send_text("SELECT 1\x03SELECT 7 AS seven\r\x04")
        interact(connection, "json", source=keys, sink=DummyOutput())
    shown = capsys.readouterr().out
    assert '"seven": 7' in shown
