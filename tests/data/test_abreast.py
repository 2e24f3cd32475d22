"""Many small calls side by side: in order, in several processes, and none of them outlives its parent."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from xtreme_dag.data.abreast import abreast
from xtreme_dag.errors import UserError

SLOW = """
import time
from xtreme_dag.data.abreast import abreast
for _ in abreast(time.sleep, [(0,), (0,), (60,), (60,)], enough=2):
    print("done", flush=True)
"""


def double(number):
    return os.getpid(), 2 * number


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


@pytest.mark.parametrize("enough", [2, 100])
def test_what_a_call_raises_comes_when_it_is_its_turn(enough):
    found = abreast(refuse, [(number,) for number in range(8)], enough=enough)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(UserError, match="no such number") as raised:
        next(found)
    assert (raised.value.where, raised.value.fix) == ("three", "take another")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_one_that_started_it(how):
    parent = psutil.Popen(
        [sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert parent.stdout.readline() == parent.stdout.readline() == "done\n"
    family = parent.children(recursive=True)
    assert len(family) >= 2
    started = time.monotonic()
    parent.send_signal(how)
    assert not psutil.wait_procs([parent, *family], timeout=30)[1]
    assert time.monotonic() - started < 30
