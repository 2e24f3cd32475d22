"""A pool that is closed, paused or robbed of a process: stages that write checkpoints stop after one and lose nothing."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from xtreme_dag.engine.calls import PoolClosed, Request
from xtreme_dag.engine.pool import WorkerPool

CODE = '''
import time
from xtreme_dag.core.context import Stopped

def count(params, inputs, context):
    """Counts to a number, with a checkpoint when it is asked to stop."""
    checkpoint = context.scratch / "count"
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    assert not list(context.out.iterdir())
    (context.out / "started").touch()
    first = done
    while done < params["to"]:
        done += 1
        context.progress(done, params["to"])
        time.sleep(0.01)
        if context.stopping():
            checkpoint.write_text(str(done))
            raise Stopped(f"stopped at {done}")
    return {"first": first}

def nap(params, inputs, context):
    context.progress(0, 1)
    time.sleep(params["seconds"])
    return {}
'''


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Calls a function of `CODE` in a thread; returns a function that waits for what became of it."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "counts.py").write_text(CODE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "code"))

    def ask(pool, function, **params):
        for name in ("out", "scratch"):
            (tmp_path / function / name).mkdir(parents=True, exist_ok=True)
        request = Request(
            function=f"counts:{function}", params=params, inputs={},
            out=tmp_path / function / "out", scratch=tmp_path / function / "scratch",
        )  # fmt: skip
        under_way, became, heard = threading.Event(), [], []

        def listen(event):
            heard.append(event)
            if function == "nap" or len(heard) > 1:  # it has looked by then whether it shall stop
                under_way.set()

        def call():
            try:
                became.append(pool.call(request, listen))
            except Exception as error:
                became.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        assert under_way.wait(60)

        def outcome():
            thread.join(60)
            assert became
            return became[0], heard

        return outcome

    return ask


def test_a_closed_pool_waits_for_a_checkpoint_and_for_nothing_else(ask, tmp_path):
    pool = WorkerPool(2, tmp_path / "logs", grace=30)
    counting, napping = ask(pool, "count", to=100_000), ask(pool, "nap", seconds=600)
    started = time.monotonic()
    pool.close()
    assert time.monotonic() - started < 10
    stopped, _ = counting()
    assert isinstance(stopped, PoolClosed) and str(stopped).startswith("stopped at ")
    assert isinstance(napping()[0], PoolClosed)
    done = int((tmp_path / "count" / "scratch" / "count").read_text())
    with WorkerPool(1, tmp_path / "logs", grace=30) as again:
        assert ask(again, "count", to=done + 3)()[0]["figures"] == {"first": done}


def test_a_stage_that_does_not_stop_in_time_is_ended(ask, tmp_path):
    pool = WorkerPool(1, tmp_path / "logs", grace=0.5)
    counting = ask(pool, "count", to=100_000)
    os.kill(pool._all[0].process.pid, signal.SIGSTOP)
    pool.close()
    assert str(counting()[0]) == str(PoolClosed())


def test_a_paused_pool_lets_the_others_end(ask, tmp_path):
    with WorkerPool(2, tmp_path / "logs") as pool:
        counting, napping = ask(pool, "count", to=100_000), ask(pool, "nap", seconds=1)
        pool.pause()
        assert str(counting()[0]).startswith("stopped at ")
        assert napping()[0]["figures"] == {}
        with pytest.raises(PoolClosed):
            pool.call(Request(function="counts:nap", params={}, inputs={}, out=tmp_path, scratch=tmp_path), print)


PARENT = """
import sys
from pathlib import Path
from xtreme_dag.engine.calls import Request
from xtreme_dag.engine.pool import WorkerPool
folder = Path(sys.argv[1])
request = Request(function="counts:count", params={"to": 100_000}, inputs={}, out=folder / "out", scratch=folder / "scratch")
WorkerPool(1, folder / "logs").call(request, lambda event: print("counts", flush=True))
"""


def test_whose_parent_is_killed_writes_its_checkpoint_and_the_next_waits_for_it(ask, tmp_path, repository):
    for name in ("out", "scratch"):
        (tmp_path / "count" / name).mkdir(parents=True)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path / 'code'}:{repository}"}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, tmp_path / "count"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert [parent.stdout.readline() for _ in range(9)] == 9 * ["counts\n"]
    parent.kill()
    parent.communicate()
    with WorkerPool(1, tmp_path / "logs") as pool:
        assert ask(pool, "count", to=100)()[0]["figures"]["first"] > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("function", ["count", "nap"])
def test_a_process_that_is_told_to_end_costs_its_stage_nothing(ask, tmp_path, function, number):
    before = [signal.signal(each, signal.SIG_DFL) for each in (signal.SIGINT, signal.SIGHUP)]
    try:
        with WorkerPool(1, tmp_path / "logs") as pool:
            calling = ask(pool, function, to=100, seconds=1)
            time.sleep(0.1)
            os.kill(pool._all[0].process.pid, number)
            answer, heard = calling()
            assert answer["figures"].get("first", 1) >= 1, "it went on from its checkpoint"
            [warning] = [event["message"] for event in heard if event["event"] == "log"]
            assert "it runs again in another process" in warning and len(pool._all) == 2
    finally:
        for each, handler in zip((signal.SIGINT, signal.SIGHUP), before, strict=True):
            signal.signal(each, handler)
