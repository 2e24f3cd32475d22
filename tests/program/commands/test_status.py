"""`status`: stages by kind or each, equal reasons in a line, runs that are under way or were interrupted."""

import json
import signal
import subprocess
import sys
import threading
import time

import pytest
from click.testing import CliRunner

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.ledger import Ledger
from xtreme_dag.engine.under_way import Progress, noted, say_progress, under_way
from xtreme_dag.program.cli import program
from xtreme_dag.program.commands import status as room


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home").ensure()


def status(home, *arguments):
    done = CliRunner().invoke(program, ["status", *arguments, "--home", str(home.root)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout.splitlines()


def entry(kind, name, outcome, seconds=0.0, **more):
    return {"time": "2026-01-01T00:00:00", "study": "s", "stage": f"{kind}[{name}]", "kind": kind, "key": "", "outcome": outcome, "seconds": seconds, **more}  # fmt: skip


def test_a_finished_study_lists_its_stages_by_kind_or_each(home):
    Ledger(home.ledger).append(
        [entry("prepare", "a", "succeeded", 2), entry("prepare", "b", "cached"), entry("target", "a", "succeeded", 90)]
    )
    assert status(home) == ["s: 3 stages: 2 succeeded, 1 cached; 92 s of work; last 2026-01-01T00:00:00"]
    by_kind = status(home, "s")
    assert any(line.split() == ["prepare", "2", "1", "succeeded,", "1", "cached", "2", "s"] for line in by_kind)
    each = status(home, "s", "--all")
    assert [line.split()[1] for line in each[3:]] == ["prepare[a]", "prepare[b]", "target[a]"]
    assert len(json.loads("\n".join(status(home, "s", "--json")))) == 3


def test_equal_reasons_are_one_line(home):
    Ledger(home.ledger).append([entry("target", n, "failed", error="no layer") for n in range(4)])
    Ledger(home.ledger).append([entry("target", "x", "failed", error="other"), entry("evaluate", "x", "not run")])
    assert [line for line in status(home, "s") if line.startswith("  ")] == [
        "  failed: 4 stages, as target[0]: no layer",
        "  failed: target[x]: other",
        "  not run: evaluate[x]",
    ]


def test_a_run_that_has_ended_no_stage_yet_is_under_way(home):
    assert status(home) == [f"nothing has run in {home.root}"]
    with noted(home, "s"):
        (line,) = status(home, "s")
        assert line.startswith("s: a run is under way since ") and line.endswith("; no stage has ended yet")
    assert status(home) == [f"nothing has run in {home.root}"]
    with pytest.raises(UserError), noted(home, "s"):
        raise UserError("it has said why")
    assert under_way(home) == []


def test_a_run_under_way_says_how_far_it_is(home):
    far = Progress(host="box", stages=57, over=12, failed=1, places=2, left=90.0)
    with noted(home, "s [all] / 1"):  # a name that is no file's
        say_progress(home, "s [all] / 1", far)
        (line,) = status(home)
        assert line.startswith("s [all] / 1: a run is under way since ")
        assert line.endswith(" on box: 12 of 57 stages done, 1 failed or not run; about 90 s left with 2 side by side")
        with noted(home, "other"):
            assert [run.progress for run in under_way(home)] == [far, None]
    with noted(home, "s [all] / 1"):
        assert [run.progress for run in under_way(home)] == [None]  # it is another run


SLEEPER = """
import sys, time
from pathlib import Path
from xtreme_dag.core.home import Home
from xtreme_dag.engine.under_way import noted
with noted(Home(Path(sys.argv[1])), "s"):
    print("there", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_is_told_until_the_next(home, number):
    run = subprocess.Popen(
        [sys.executable, "-c", SLEEPER, str(home.root)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        # Tests that were started in the background of a script ignore interruptions, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert run.stdout is not None and run.stdout.readline()
    assert [found.running for found in under_way(home)] == [True]
    run.send_signal(number)
    run.wait()
    run.stdout.close()
    (line,) = status(home, "s")
    assert line.startswith("s: interrupted, the run that began ")
    assert [found.running for found in under_way(home)] == [False]
    with noted(home, "s"):
        assert [found.running for found in under_way(home)] == [True]
    assert under_way(home) == []


def claim(place, number, host, device, **more):
    """Writes what a machine says of a stage that it runs."""
    now, key = time.time(), f"{number:064x}"
    said = {"key": key, "stage": f"target[{number}]", "study": "s", "run": "r", "host": host, "pid": 1, "device": device,
            "started": now - 300, "expires": now + 60, **more}  # fmt: skip
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{key}.json").write_text(json.dumps(said))
    return place / f"{key}.json"


def test_what_runs_where_with_the_time_left(home, tmp_path):
    Ledger(home.ledger).append([entry("prepare", "a", "succeeded", 2)])
    mirror = tmp_path / "mirror"
    claim(home.running, 1, "here", "cpu", expected=900.0)
    claim(mirror / "claims", 2, "box", "cuda:1", done=0.5)
    claim(mirror / "claims", 3, "box", "cuda:0", started=time.time() + 500)  # its clock is ahead
    claim(mirror / "claims", 4, "box", "cpu", study="other")
    claim(mirror / "claims", 5, "gone", "cpu", expires=time.time() - 1)
    rows = [line.split() for line in status(home, "s", "--mirror", str(mirror)) if "target[" in line]
    assert rows == [
        ["box", "cuda:1", "target[2]", "5", "min", "50", "%", "about", "5", "min"],
        ["box", "cuda:0", "target[3]", "0", "s"],
        ["here", "cpu", "target[1]", "5", "min", "about", "10", "min"],
    ]
    assert not any("box" in line for line in status(home, "s")), "without its mirror a home knows of itself alone"


def test_watching_ends_when_nothing_runs_any_more(home, monkeypatch):
    monkeypatch.setattr(room, "_WATCH_SECONDS", 0.05)
    Ledger(home.ledger).append([entry("prepare", "a", "succeeded", 2)])
    path = claim(home.running, 1, "here", "cpu", done=0.25)
    ended = threading.Timer(1.0, path.unlink)
    ended.start()
    begun = time.monotonic()
    lines = status(home, "s", "--watch")
    assert 0.9 < time.monotonic() - begun < 30
    assert sum("target[1]" in line for line in lines) > 3, "shown again and again"
    assert "target[1]" not in lines[-1] and any(line.startswith("s: 1 stages") for line in lines)
