"""Running: once, early cutoff, failures that stop only what depends on them, workers that die, gates, locks."""

import errno
import multiprocessing
import os
import shutil
import threading
from collections import Counter

import pytest

from tests.engine.conftest import ENCODE
from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.graph import Graph, Stage
from xtreme_dag.engine.local import run_local
from xtreme_dag.engine.pool import WorkerPool
from xtreme_dag.engine.store import Store


def test_a_second_run_finds_everything(toy, pool):
    assert Counter(run_local(toy.graph(), toy.executor(pool)).values()) == {"succeeded": 7}
    assert Counter(run_local(toy.graph(), toy.executor(pool)).values()) == {"cached": 7}
    assert sorted(toy.executed()) == ["a", "all", "b", "c"]


def test_equal_output_stops_the_wave(toy, pool):
    run_local(toy.graph(), toy.executor(pool))
    toy.raw["b"].write_text("b \n")  # `join` strips it: encode[b] runs again and writes the same bytes
    outcomes = run_local(toy.graph(), toy.executor(pool))
    assert {name for name, outcome in outcomes.items() if outcome == "succeeded"} == {"prepare[b]", "encode[b]"}


def test_a_changed_row_reaches_what_depends_on_it(toy, pool):
    run_local(toy.graph(), toy.executor(pool))
    toy.raw["b"].write_text("B")
    outcomes = run_local(toy.graph(), toy.executor(pool))
    assert {name for name, outcome in outcomes.items() if outcome == "succeeded"} == {
        "prepare[b]",
        "encode[b]",
        "target[all]",
    }


@pytest.mark.parametrize(
    ("function", "reason"), [("crash", "ZeroDivisionError"), ("die", "SIGKILL"), ("refuse", "does not fit")]
)
def test_a_failure_stops_only_what_depends_on_it(toy, pool, function, reason):
    graph = toy.graph()
    broken = Graph()
    for stage in graph:
        if stage.name == "encode[b]":
            stage = Stage(of=stage.of, name=stage.name, function=f"toy.functions:{function}", inputs=stage.inputs)
        broken.add(stage)
    executor = toy.executor(pool)
    outcomes = run_local(broken, executor)
    assert outcomes["encode[b]"] == "failed" and outcomes["target[all]"] == "not run"
    assert Counter(outcomes.values()) == {"succeeded": 5, "failed": 1, "not run": 1}
    assert reason in executor.failure(broken["encode[b]"])
    assert toy.planner().plan(broken).by_name["encode[b]"].status == "failed"
    assert not list(toy.home.work.glob("*/out/*"))


def test_a_violated_contract_stops_what_uses_the_table_each_time(toy, pool):
    toy.raw["b"].write_text("bad")
    for _ in range(2):
        executor = toy.executor(pool)
        outcomes = run_local(toy.graph(gate=True), executor)
        assert outcomes["check[b]"] == "failed" and outcomes["encode[b]"] == "not run"
        assert outcomes["encode[a]"] in ("succeeded", "cached") and outcomes["target[all]"] == "not run"
        assert "no bad words" in executor.failure(toy.graph(gate=True)["check[b]"])


def test_damaged_and_missing_artifacts_are_made_again(toy, pool):
    run_local(toy.graph(), toy.executor(pool))
    store = Store(toy.home.store)
    plan = toy.planner().plan(toy.graph())
    first, second = plan.by_name["encode[a]"], plan.by_name["encode[c]"]
    (store.artifact(first.digest) / "text.txt").write_text("half")
    shutil.rmtree(store.artifact(second.digest))
    again = toy.planner().plan(toy.graph())
    assert again.by_name["encode[a]"].reasons == ("damaged",) and again.by_name["encode[c]"].reasons == ("damaged",)
    said = []
    outcomes = run_local(toy.graph(), toy.executor(pool), listen=said.append)
    assert Counter(outcomes.values()) == {"cached": 5, "succeeded": 2}
    assert any("set aside" in event.get("message", "") and "encode[a]" in event["message"] for event in said)
    assert toy.planner().plan(toy.graph()).all_cached


def test_a_forced_stage_runs_and_its_equal_output_invalidates_nothing(toy, pool):
    run_local(toy.graph(), toy.executor(pool))
    forced = frozenset({"encode[a]"})
    assert toy.planner(forced=forced).plan(toy.graph()).by_name["encode[a]"].reasons == ("forced",)
    outcomes = run_local(toy.graph(), toy.executor(pool, forced=forced))
    assert Counter(outcomes.values()) == {"cached": 6, "succeeded": 1}


def test_two_threads_and_two_processes_run_each_stage_once(toy):
    def run():
        with WorkerPool(1, toy.home.logs) as pool:
            assert set(run_local(toy.graph(sleep=0.2), toy.executor(pool)).values()) <= {"succeeded", "cached"}

    def run_forked():
        run()
        os._exit(0)  # a fork has none of the threads that libraries of this process (Prefect) wait for at its end

    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=run_forked) for _ in range(2)]
    threads = [threading.Thread(target=run) for _ in range(2)]
    for worker in (*processes, *threads):
        worker.start()
    for worker in (*processes, *threads):
        worker.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert sorted(toy.executed()) == ["a", "all", "b", "c"]


def test_a_stage_that_takes_too_long_is_stopped(toy, pool):
    executor = toy.executor(pool, options={"timeout": 1.0})
    outcomes = run_local(toy.graph(sleep=30.0), executor)
    assert outcomes["encode[a]"] == "failed"
    assert "time limit" in executor.failure(toy.graph()["encode[a]"])


def test_a_missing_raw_file_is_said_in_words(toy, pool):
    toy.raw["a"].unlink()
    with pytest.raises(UserError, match="cannot be read"):
        toy.planner().plan(toy.graph())


def test_a_time_out_costs_no_stage_that_comes_after(toy):
    """The worker that was killed never gets another stage, however soon one waits for it."""
    graph = Graph()
    for number in range(12):
        params = {"log": str(toy.log), "name": str(number), "sleep": 30.0 if number % 2 == 0 else 0.0}
        graph.add(Stage(of=ENCODE, name=str(number), function="toy.functions:join", params=params))
    with WorkerPool(1, toy.home.logs) as pool:
        executor = toy.executor(pool, options={"timeout": 1.0})
        outcomes = run_local(graph, executor)
    assert [outcomes[str(number)] for number in range(12)] == ["failed", "succeeded"] * 6
    assert all("time limit" in executor.failure(stage) for stage in graph if outcomes[stage.name] == "failed")


def test_a_disk_that_is_full_when_a_lock_is_taken_costs_that_stage_and_the_next_run_goes_on(toy, pool, monkeypatch):
    write = os.write

    def full(handle, text):
        if b'"holder": "encode[b]"' in text:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, text)

    executor = toy.executor(pool)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        outcomes = run_local(toy.graph(), executor)
    assert {name for name, outcome in outcomes.items() if outcome != "succeeded"} == {"encode[b]", "target[all]"}
    assert "no space left on the disk" in executor.failure(toy.graph()["encode[b]"])
    assert Counter(run_local(toy.graph(), toy.executor(pool)).values()) == {"cached": 5, "succeeded": 2}
