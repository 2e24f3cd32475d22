"""Progress on the terminal and, in lines, without one."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from xtreme_dag.program import progress
from xtreme_dag.program.commands.run import _lines
from xtreme_dag.program.progress import Display

EVENTS = [
    {"event": "started", "stage": "a"},
    {"event": "progress", "stage": "a", "done": 1, "total": 2, "loss": 0.25},
    {"event": "log", "stage": "a", "message": "[a] resumed"},
    {"event": "finished", "stage": "a", "cached": True},
    {"event": "failed", "stage": "b", "message": "no"},
    {"event": "not run", "stage": "c"},
]


def shown(capsys, monkeypatch, *, quiet=False, seconds=0.0):
    monkeypatch.setattr(progress, "_LINE_SECONDS", seconds)
    with Display(3, quiet=quiet) as display:
        for event in EVENTS:
            display.listen(event)
    captured = capsys.readouterr()
    assert captured.out == ""
    return [line.rstrip() for line in captured.err.splitlines() if line.strip()]


def test_lines_without_a_terminal(capsys, monkeypatch):
    lines = shown(capsys, monkeypatch)
    assert lines == [
        "[a] resumed",
        "1 of 3 stages: 1 cached; last a",
        "failed: b: no",
        "3 of 3 stages: 1 cached, 1 failed, 1 not run; last c",
    ]
    assert shown(capsys, monkeypatch, seconds=60) == ["[a] resumed", "failed: b: no"]


def test_quiet_tells_failures_only(capsys, monkeypatch):
    assert shown(capsys, monkeypatch, quiet=True) == ["failed: b: no"]


def test_a_reason_that_stops_many_stages_is_told_once_and_counted(capsys):
    with Display(9, quiet=True) as display:
        for stage, message in (*((f"e{n}", "no layer -1") for n in range(5)), ("f", "another")):
            display.listen({"event": "failed", "stage": stage, "message": message})
    assert capsys.readouterr().err.splitlines() == [
        "failed: e0: no layer -1",
        "failed: f: another",
        "failed: 4 more stages for the same reason: no layer -1",
    ]


def test_the_answer_of_a_run_has_a_line_for_each_reason():
    failed = {**{f"e{n}": "no layer -1" for n in range(41)}, "f": "another"}
    outcome = {"stages": {"failed": 42, "succeeded": 0, "not run": 0, "cached": 0}, "failed": failed, "seconds": 1.0,
               "results": "r", "report": "s", "warnings": []}  # fmt: skip
    assert [line for line in _lines(outcome) if line.startswith("failed")] == [
        "failed: 41 stages, as e0: no layer -1",
        "failed: f: another",
    ]


def test_a_terminal_has_a_row_for_each_running_stage(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with Display(3) as display:
        display.listen(EVENTS[0])
        display.listen(EVENTS[1])
        display.refresh()
        assert {task.description: task.completed for task in display.tasks} == {"stages": 0, "  a": 1}
        display.listen(EVENTS[3])
        assert [(task.description, task.completed, task.fields["figures"]) for task in display.tasks] == [
            ("stages", 1, "1 cached")
        ]
    assert "loss 0.25" in capsys.readouterr().err


NAME = "evaluate[tatoeba | qaf | english | seed 3]"


@pytest.mark.parametrize("width", [60, 80, 140])
def test_names_are_whole_in_a_narrow_terminal(width):
    console = Console(file=io.StringIO(), width=width, force_terminal=True)
    with Display(3, console=console) as display:
        display.listen({"event": "started", "stage": NAME})
        display.listen({"event": "progress", "stage": NAME, "done": 128, "total": 512, "loss": 0.25})
        paper = Console(file=io.StringIO(), width=width)
        paper.print(display.get_renderable())
    drawn = paper.file.getvalue()
    assert [NAME in line for line in drawn.splitlines()] == [False, True] and "128/512" in drawn
    assert all(cell_len(line) <= width for line in drawn.splitlines())
    assert ("loss" in drawn) == (width >= 110)


def test_lines_in_a_log_are_never_wrapped(capsys):
    reason = "no such file: " + "/a/long/path" * 20
    with Display(2) as display:
        display.listen({"event": "failed", "stage": "a", "message": reason})
        display.listen({"event": "log", "message": reason})
    assert capsys.readouterr().err.splitlines() == [f"failed: a: {reason}", reason]
