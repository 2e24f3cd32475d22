"""How a run ends on a real server: failed, not run, timed out and stopped are states that say so."""

import os
import subprocess
import sys
import time

import pytest
import yaml
from prefect import flow
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows._drive import runner
from flows._graph import run_graph
from flows.study import study
from tasks._stage import TASKS, Session
from tests import servers
from tests.flows import tiny_study
from tests.servers import until
from xtreme_dag.core.home import Home
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.pool import WorkerPool
from xtreme_dag.study.file import load_study
from xtreme_dag.wiring.build import build
from xtreme_dag.wiring.kinds import KINDS

pytestmark = pytest.mark.xdist_group("prefect")
STUDY = {**tiny_study.STUDY, "study": "doomed"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("doomed")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    return folder


@pytest.fixture
def api(prefect_api):
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        yield prefect_api


def task_runs(api, flow_run, expected):
    """Name -> state of a flow run's task runs; the server needs a moment to record them."""
    question = {"flow_runs": {"id": {"any_": [str(flow_run)]}}}
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = {row["name"]: row["state"] for row in servers.post(f"{api}/task_runs/filter", json=question).json()}
        final = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")
        if len(found) == expected and all(state and state["type"] in final for state in found.values()):
            break
        time.sleep(0.5)
    return found


def automation_on_failure(api):
    """Pauses a work pool when a flow run fails; returns the pool's name."""
    pool = servers.post(f"{api}/work_pools/", json={"name": "watched", "type": "process"}).raise_for_status().json()
    automation = {
        "name": "on failure",
        "trigger": {
            "type": "event", "posture": "Reactive", "expect": ["prefect.flow-run.Failed"], "threshold": 1, "within": 0,
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
        },
        "actions": [{"type": "pause-work-pool", "source": "selected", "work_pool_id": pool["id"]}],
    }  # fmt: skip
    servers.post(f"{api}/automations/", json=automation).raise_for_status()
    return pool["name"]


def test_a_failed_study_is_a_failed_flow_run_and_an_automation_fires(place, api):
    pool = automation_on_failure(api)
    settings = {"home": str(place / "home"), "timeout": 0.05, "workers": 2, "device": "cpu"}
    state = study(str(place / "study.yaml"), **settings, return_state=True)
    outcome = state.result(raise_on_failure=False)
    stages = outcome["stages"]
    assert stages["failed"] and stages["not run"] and not stages["succeeded"]
    name, reason = next(iter(outcome["failed"].items()))
    run = servers.get(f"{api}/flow_runs/{state.state_details.flow_run_id}").json()
    assert run["state"]["type"] == "FAILED" and run["name"] == "study study"
    said = f"{stages['failed']} failed, {stages['not run']} not run: {name}: stopped after 0 s (time limit)"
    assert run["state"]["message"] == said and reason in said

    found = task_runs(api, run["id"], sum(stages.values()))
    timed_out = [found[name] for name in outcome["failed"]]
    assert {(state["type"], state["name"]) for state in timed_out} == {("FAILED", "TimedOut")}
    assert all("time limit" in state["message"] for state in timed_out)
    left = {name: state for name, state in found.items() if name not in outcome["failed"]}
    assert len(left) == stages["not run"]
    assert {(state["type"], state["name"]) for state in left.values()} == {("CANCELLED", "NotRun")}
    for state in left.values():
        assert state["message"].startswith("needs ") and "which failed: stopped after" in state["message"]

    until(lambda: servers.get(f"{api}/work_pools/{pool}").json()["is_paused"], 90)

    # Brackets with a path in them were markup to the tables of Prefect's own commands.
    listed = subprocess.run(
        [sys.executable, "-m", "prefect", "flow-run", "ls"],
        env={**os.environ, "PREFECT_API_URL": api, "COLUMNS": "200"}, capture_output=True, text=True,
    )  # fmt: skip
    assert listed.returncode == 0 and "study study" in listed.stdout, listed.stderr


def test_stages_of_a_run_that_is_stopped_are_cancelled(place, api):
    graph = build(load_study(place / "study.yaml", [])).graph
    home = Home(place / "stopped").ensure()

    @flow(name="stopped", task_runner=runner())
    def stopped():
        with WorkerPool(1, home.logs) as pool:
            pool.close()
            with Session(graph, Executor(home, "doomed", pool), lambda event: None) as session:
                return FlowRunContext.get().flow_run.id, run_graph(session)

    flow_run, outcomes = stopped()
    found = task_runs(api, flow_run, len(graph))
    names = {outcome: {name for name in outcomes if outcomes[name] == outcome} for outcome in ("failed", "not run")}
    assert names["failed"] | names["not run"] == set(found)
    assert {(found[name]["type"], found[name]["name"]) for name in names["failed"]} == {("CANCELLED", "Cancelled")}
    assert all("the run was stopped" in found[name]["message"] for name in found)


def test_every_kind_of_stage_has_a_task_of_its_name():
    assert {name: task.name for name, task in TASKS.items()} == {name: name for name in KINDS}
    assert all(TASKS[name].description == kind.title for name, kind in KINDS.items())
