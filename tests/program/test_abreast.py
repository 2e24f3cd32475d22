"""Many small calls side by side: in order, in several processes, and none of them outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from xtreme_dag.core.errors import UserError
from xtreme_dag.program.survey import abreast as module
from xtreme_dag.program.survey.abreast import abreast

SLOW = """
import time
from pathlib import Path
from xtreme_dag.program.survey.abreast import abreast
for _ in abreast(time.sleep, [(0,), (0,), (60,), (60,)], enough=2):
    print("done", flush=True)
"""


def double(number):
    return os.getpid(), 2 * number


def finish(number, begun=None):
    return os.getpid(), begun or double(number)


def refuse(number):
    if number == 3:
        raise UserError("no such number", where="three", fix="take another")
    return number


def test_answers_come_in_order_from_several_processes():
    calls = [(number,) for number in range(40)]
    found = list(abreast(double, calls, enough=20))
    assert [answer for _, answer in found] == [2 * number for number in range(40)]
    processes = {process for process, _ in found}
    assert os.getpid() not in processes and len(processes) <= 2


def test_few_calls_are_not_worth_a_process():
    assert list(abreast(double, [(1,), (2,), (3,)], enough=2)) == [(os.getpid(), 2 * number) for number in (1, 2, 3)]


@pytest.mark.parametrize("seconds", [60, 0])
def test_calls_are_begun_here_while_the_others_load(seconds, monkeypatch):
    monkeypatch.setattr(module, "_LOADING", seconds)
    found = list(abreast(finish, [(number,) for number in range(40)], enough=20, ahead=double))
    assert [answer for _, (_, answer) in found] == [2 * number for number in range(40)]
    assert os.getpid() not in {finished for finished, _ in found}
    assert {begun == os.getpid() for _, (begun, _) in found} == {seconds > 0}


@pytest.mark.parametrize("enough", [2, 100])
def test_what_a_call_raises_comes_when_it_is_its_turn(enough):
    found = abreast(refuse, [(number,) for number in range(8)], enough=enough)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(UserError, match="no such number") as raised:
        next(found)
    assert (raised.value.where, raised.value.fix) == ("three", "take another")


def started(code, folder):
    """A process, and a group of its own, that runs some code."""
    return psutil.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
        start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env={**os.environ, "PYTHONPATH": f"{Path.cwd()}{os.pathsep}{folder}"},
    )  # fmt: skip


def ended(parent, family):
    """What the process said last; it and its family are gone soon."""
    assert not psutil.wait_procs([parent, *family], timeout=30)[1]
    return parent.communicate()[1]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_one_that_started_it(how, tmp_path):
    parent = started(SLOW, tmp_path)
    assert parent.stdout.readline() == parent.stdout.readline() == "done\n"
    family = parent.children(recursive=True)
    assert len(family) >= 2
    parent.send_signal(how)
    ended(parent, family)


@pytest.mark.parametrize("when", ["loading", "working"])
def test_an_interruption_from_a_terminal_is_heard_by_the_parent_alone(when, tmp_path):
    """It goes to the whole group."""
    (tmp_path / "slow_to_load.py").write_text("import time\nopen('loading', 'w').close()\ntime.sleep(20)\n")
    parent = started(SLOW.replace("2):", "2, loads=('slow_to_load',)):") if when == "loading" else SLOW, tmp_path)
    if when == "working":
        assert parent.stdout.readline() == "done\n"
    while when == "loading" and not (tmp_path / "loading").exists():
        time.sleep(0.05)
    family = parent.children(recursive=True)
    os.killpg(parent.pid, signal.SIGINT)
    said = ended(parent, family)
    assert said.count("Traceback") == said.count("KeyboardInterrupt") == 1 and said.count("\n") < 40
