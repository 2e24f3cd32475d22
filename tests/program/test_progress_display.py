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


STAGES = {"a": "preparing", "b": "preparing", "c": "evaluating"}


def shown(capsys, monkeypatch, *, quiet=False, seconds=0.0):
    monkeypatch.setattr(progress, "_LINE_SECONDS", seconds)
    with Display(STAGES, quiet=quiet) as display:
        for event in EVENTS:
            display.listen(event)
    captured = capsys.readouterr()
    assert captured.out == ""
    return [line.rstrip() for line in captured.err.splitlines() if line.strip()]


def test_lines_without_a_terminal(capsys, monkeypatch):
    lines = shown(capsys, monkeypatch)
    assert lines == [
        "3 stages: preparing (2), evaluating (1)",
        "[a] resumed",
        "1 of 3 stages in 0 s (1 cached); then preparing (1), evaluating (1)",
        "failed: b: no",
        "3 of 3 stages in 0 s (1 cached, 1 failed, 1 not run)",
    ]
    assert shown(capsys, monkeypatch, seconds=60) == [lines[0], "[a] resumed", "failed: b: no"]


def test_a_line_says_what_is_done_now_and_what_comes(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.0)
    trainings = {f"target[xnli | mixed | seed {seed}]": "target training" for seed in range(6)}
    tests = {f"evaluate[xnli | {code} | mixed | seed 0]": "evaluating" for code in ("en", "de")}
    with Display({"prepare[xnli]": "preparing data", **trainings, **tests}) as display:
        for stage in ("prepare[xnli]", *list(trainings)[:5]):
            display.listen({"event": "started", "stage": stage})
        display.listen({"event": "finished", "stage": "prepare[xnli]"})
        display.listen({"event": "started", "stage": "evaluate[xnli | en | mixed | seed 0]"})
        for stage in list(trainings)[:4]:
            display.listen({"event": "finished", "stage": stage})
    last = capsys.readouterr().err.splitlines()
    assert last[1] == (
        "1 of 9 stages in 0 s (1 finished); now target training [xnli | mixed | seed 0] [xnli | mixed | seed 1]"
        " [xnli | mixed | seed 2] [xnli | mixed | seed 3] and 1 more; then target training (1), evaluating (2)"
    )
    assert last[-1] == (
        "5 of 9 stages in 0 s (5 finished); now target training [xnli | mixed | seed 4], evaluating"
        " [xnli | en | mixed | seed 0]; then target training (1), evaluating (1)"
    )


def test_quiet_tells_failures_only(capsys, monkeypatch):
    assert shown(capsys, monkeypatch, quiet=True) == ["failed: b: no"]


def test_a_reason_that_stops_many_stages_is_told_once_and_counted(capsys):
    with Display({f"{n}": "evaluating" for n in range(9)}, quiet=True) as display:
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
               "results": "r", "report": "s", "answer": [], "warnings": []}  # fmt: skip
    assert [line for line in _lines(outcome) if line.startswith("failed")] == [
        "failed: 41 stages, as e0: no layer -1",
        "failed: f: another",
    ]


def test_a_terminal_has_a_row_for_each_running_stage(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with Display(STAGES) as display:
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
    with Display({NAME: "evaluating", "b": "training " * 30, "c": "evaluating"}, console=console) as display:
        display.listen({"event": "started", "stage": NAME})
        display.listen({"event": "progress", "stage": NAME, "done": 128, "total": 512, "loss": 0.25})
        paper = Console(file=io.StringIO(), width=width)
        paper.print(display.get_renderable())
    drawn = paper.file.getvalue()
    assert [NAME in line for line in drawn.splitlines()] == [False, True, False] and "128/512" in drawn
    assert all(cell_len(line) <= width for line in drawn.splitlines())
    assert ("loss" in drawn) == (width >= 110)
    assert drawn.splitlines()[2].startswith("to come: evaluating (1), training training")


def test_lines_in_a_log_are_never_wrapped(capsys):
    reason = "no such file: " + "/a/long/path" * 20
    with Display({}, quiet=False) as display:
        display.listen({"event": "failed", "stage": "a", "message": reason})
        display.listen({"event": "log", "message": reason})
    assert capsys.readouterr().err.splitlines()[1:] == [f"failed: a: {reason}", reason]
