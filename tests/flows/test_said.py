"""What stages say and how long they run, as a server shows it: a toy graph on a real server."""

import itertools
from datetime import datetime
from pathlib import Path

import pytest
from prefect import flow
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows._drive import runner
from flows._graph import run_graph
from tasks._stage import Session
from tests import servers
from tests.engine.conftest import Toy
from tests.servers import until
from xtreme_dag.core.home import Home
from xtreme_dag.core.locks import try_lock, unlock
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.pool import WorkerPool

pytestmark = pytest.mark.xdist_group("prefect")


@pytest.fixture
def api(prefect_api):
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        yield prefect_api


@pytest.fixture
def toy(tmp_path, monkeypatch):
    toy = Toy(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "code"))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return toy


class Run:
    """A toy graph run by a flow: outcomes, and what the server has of its task runs."""

    def __init__(self, api, toy, *, listen=lambda event: None, workers=1, graph=None, **options):
        graph = graph or toy.graph()

        @flow(name="toy", task_runner=runner())
        def work():
            from flows._alive import current_run

            with WorkerPool(workers, toy.home.logs) as pool:
                executor = toy.executor(pool, **options)
                with Session(graph, executor, listen) as session:
                    self.id = str(current_run().id)
                    return run_graph(session)

        self.outcomes = work()
        APILogWorker.drain_all(timeout=60)
        self._api, self._of_run = api, {"flow_runs": {"id": {"any_": [self.id]}}}
        until(lambda: len(self.rows()) == len(graph) and all(row["end_time"] for row in self.rows()), 60)

    def rows(self):
        return servers.post(f"{self._api}/task_runs/filter", json=self._of_run).json()

    def said(self, name):
        """Log lines of a stage's task run."""
        [run] = [row["id"] for row in self.rows() if row["name"] == name]
        lines = servers.post(f"{self._api}/logs/filter", json={"logs": {"task_run_id": {"any_": [run]}}}).json()
        return [line["message"] for line in lines]


def test_a_failure_shows_the_stage_s_own_traceback_and_where_its_log_is(api, toy):
    toy.edit("return text.strip()", 'return {}["label"]')
    run = Run(api, toy)
    assert run.outcomes["encode[a]"] == "failed" and run.outcomes["target[all]"] == "not run"
    [trace] = [line for line in run.said("encode[a]") if "Traceback" in line]
    frames = [line for line in trace.splitlines() if line.startswith("  File ")]
    assert "functions.py" in frames[0] and "helpers.py" in frames[-1] and "worker.py" not in trace
    assert "KeyError: 'label'" in trace
    log = trace.splitlines()[-1].removeprefix("the log of its process: ")
    assert "KeyError: 'label'" in Path(log).read_text()
    [state] = [row["state"] for row in run.rows() if row["name"] == "encode[a]"]
    assert (state["type"], state["message"]) == ("FAILED", "KeyError: 'label'")


def test_what_the_engine_says_is_in_the_log_of_the_task_run(api, toy, tmp_path):
    mirror = str(tmp_path / "mirror")
    first = Run(api, toy, mirror=Mirror(mirror))
    assert set(first.outcomes.values()) == {"succeeded"}

    elsewhere = Home(tmp_path / "elsewhere").ensure()
    pulled = Run(api, toy, home=elsewhere, mirror=Mirror(mirror))
    assert set(pulled.outcomes.values()) == {"cached"}
    assert f"prepare[a]: pulled from {mirror}" in pulled.said("prepare[a]")

    [text] = [path for path in toy.home.store.rglob("text.txt") if path.read_text() == "a\n"]
    text.chmod(0o644)
    text.write_text("")
    damaged = Run(api, toy)
    assert damaged.outcomes["prepare[a]"] == "succeeded"
    assert any("prepare[a]: damaged, set aside as" in line for line in damaged.said("prepare[a]"))


@pytest.mark.parametrize("suffix", [".lock", ".prefect.lock"])
def test_a_stage_that_waits_for_another_process_says_so(api, toy, suffix):
    with WorkerPool(1, toy.home.logs) as pool:
        graph = toy.graph()
        key = toy.executor(pool).key(graph["prepare[a]"], {})
    held = [try_lock(toy.home.store / "locks" / f"{key}{suffix}", "somebody")]
    assert held[0] is not None

    def listen(event):
        # prepare[b] starts when the only worker is free of everything that does not wait
        if held and event["event"] == "finished":
            unlock(held.pop())

    run = Run(api, toy, listen=listen, workers=2)
    assert set(run.outcomes.values()) == {"succeeded"}
    assert any("waiting for process" in line and "somebody" in line for line in run.said("prepare[a]"))


def test_running_means_that_it_runs(api, toy):
    run = Run(api, toy, graph=toy.graph(sleep=0.3), workers=1)
    assert set(run.outcomes.values()) == {"succeeded"}
    times = ([datetime.fromisoformat(row[name]) for name in ("start_time", "end_time")] for row in run.rows())
    assert all(ended <= started for (_, ended), (started, _) in itertools.pairwise(sorted(times)))
