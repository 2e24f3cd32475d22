"""Runs whose process is gone without a word: marked, started again where that is wanted, and closed by the next."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
import yaml
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Running

from flows import _automations
from flows._alive import Watch, alive, current_run
from flows._automations import mark_dead_runs, start_again, too_often
from tasks._server import ask_until
from tests import servers
from tests.flows import tiny_study
from tests.flows.deployments import asked, deployed
from tests.servers import until
from xtreme_dag.core.home import Home

pytestmark = pytest.mark.xdist_group("prefect")

DYING = """
import os, sys
from pathlib import Path
from prefect import flow, task, tags
from flows._alive import alive
from xtreme_dag.core.home import Home

@task
def stage():
    print("here", flush=True)
    sys.stdin.read()

@flow(name="dying")
def dying():
    with alive(Home(Path(os.environ["PLACE"]))):
        stage()

with tags("xtreme-dag"):
    dying()
"""


@pytest.fixture
def api(prefect_api):
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        yield prefect_api


def runs(api, kind, name):
    """The flow or task runs of the flow of this name."""
    return servers.post(f"{api}/{kind}/filter", json={"flows": {"name": {"any_": [name]}}}).json()


def flow_of(api, run):
    return servers.get(f"{api}/flow_runs/{run}").json()["flow_id"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The home of the run whose process is killed."""
    return Home(tmp_path_factory.mktemp("dead"))


@pytest.fixture(scope="module")
def dead(prefect_api, repository, home):
    """Id of a flow run with a task run, both of them "Running", whose process was killed."""
    api = prefect_api
    process = subprocess.Popen(
        [sys.executable, "-c", DYING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PREFECT_API_URL": api, "PYTHONPATH": str(repository), "PLACE": str(home.root),
             "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"},
    )  # fmt: skip
    assert process.stdout.readline() == "here\n"
    known = {row["id"] for row in runs(api, "flow_runs", "dying") if row["state_type"] == "RUNNING"}
    until(lambda: [row for row in runs(api, "task_runs", "dying") if row["state_type"] == "RUNNING"], 60)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    [run] = known
    return run


def test_the_next_run_closes_what_a_dead_one_left_open(api, dead, home):
    @flow(name="next")
    def following():
        with alive(home):
            return servers.get(f"{api}/flow_runs/{dead}").json()["state"]

    assert (following()["type"], following()["message"]) == ("CRASHED", "its process is gone")
    states = [row["state"] for row in runs(api, "task_runs", "dying") if row["flow_run_id"] == dead]
    assert [state["type"] for state in states] == ["CRASHED"]
    assert not list((home.prefect / "runs").iterdir())


def left_without_heartbeats(api, dead):
    """Leaves the dead run to the server, which has 12 s; in earnest it waits for 100."""
    with temporary_settings({PREFECT_API_URL: api}):
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(UUID(dead), Running(), force=True)
            mark_dead_runs(client, seconds=12)
            mark_dead_runs(client, seconds=12)
            assert len(client.read_automations_by_name("xtreme-dag: dead runs")) == 1
        tag = {"prefect.resource.id": "prefect.tag.xtreme-dag", "prefect.resource.role": "tag"}

        def emit(said, run):
            resource = {"prefect.resource.id": f"prefect.flow-run.{run}"}
            emit_event(f"prefect.flow-run.{said}", resource=resource, related=[tag])

        time.sleep(8)  # automations are loaded by then
        emit("heartbeat", dead)  # starts the clock, and is its last
        running = {"flow_id": flow_of(api, dead), "state": {"type": "RUNNING"}}
        suspended = servers.post(f"{api}/flow_runs/", json=running).raise_for_status().json()["id"]
        for said in ("heartbeat", "Suspended"):
            emit(said, suspended)
            time.sleep(1)  # events of one moment may come in either order
        EventsWorker.instance().wait_until_empty()
        state = until(
            lambda: (now := servers.get(f"{api}/flow_runs/{dead}").json()["state"])["type"] == "CRASHED" and now, 90
        )
        time.sleep(2)
        other = servers.get(f"{api}/flow_runs/{suspended}").json()["state"]
        servers.delete(f"{api}/flow_runs/{suspended}").raise_for_status()
        with get_client(sync_client=True) as client:
            [automation] = client.read_automations_by_name("xtreme-dag: dead runs")
            client.delete_automation(automation.id)
        return state, other


@pytest.fixture(scope="module")
def marked(prefect_api, dead):
    """What becomes of a dead run and of a suspended one; the wait passes beside other tests."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(left_without_heartbeats, prefect_api, dead)


@pytest.mark.usefixtures("marked")
def test_a_living_run_that_was_taken_for_dead_says_so(api):
    @flow(name="taken-for-dead")
    def living():
        run = current_run().id
        with Watch(lambda: None, seconds=0.2), get_client(sync_client=True) as client:
            crashed = {"state": {"type": "CRASHED", "name": "Crashed"}, "force": True}
            servers.post(f"{api}/flow_runs/{run}/set_state", json=crashed).raise_for_status()
            until(lambda: client.read_flow_run(run).state.is_running(), 30)
        return "done"

    assert living() == "done"


def test_a_run_without_a_deployment_refuses_a_pause_with_words(api):
    @flow(name="not-paused")
    def running():
        run = current_run().id
        with Watch(lambda: None, seconds=0.2) as watch, get_client(sync_client=True) as client:
            asked = {"state": {"type": "PAUSED", "name": "Paused"}}
            servers.post(f"{api}/flow_runs/{run}/set_state", json=asked).raise_for_status()
            state = until(lambda: (now := client.read_flow_run(run).state).is_running() and now, 30)
            watch.boundary()
        return state.message

    assert "only runs of deployments can be suspended" in running()


def test_a_cancelled_run_is_told(api):
    @flow(name="told")
    def told():
        said = []
        with Watch(lambda: said.append("stop"), seconds=0.2) as watch:
            cancelling = {"state": {"type": "CANCELLING", "name": "Cancelling"}, "force": True}
            servers.post(f"{api}/flow_runs/{current_run().id}/set_state", json=cancelling).raise_for_status()
            until(lambda: watch.cancelled, 30)
        return Cancelled(message="heard", data=said)

    state = told(return_state=True)
    assert state.is_cancelled() and state.result(raise_on_failure=False) == ["stop"]


def test_a_run_that_was_cancelled_and_then_taken_for_dead_is_told(api):
    @flow(name="told-late")
    def told():
        with Watch(lambda: None, seconds=2.0) as watch:
            for kind, name in (("CANCELLING", "Cancelling"), ("CRASHED", "Crashed")):
                state = {"state": {"type": kind, "name": name}, "force": True}
                servers.post(f"{api}/flow_runs/{current_run().id}/set_state", json=state).raise_for_status()
            until(lambda: watch.cancelled, 30)
        return Cancelled(message="heard")

    assert told(return_state=True).is_cancelled()


def test_a_watch_goes_on_after_an_error_that_nobody_expected(api, caplog):
    """Else nobody would learn that a run is cancelled or suspended."""

    @flow(name="watching")
    def watching():
        looks = []

        def look(_client):
            looks.append(len(looks))
            if len(looks) == 1:
                raise ValueError("a surprise")
            ended.set()

        ended = threading.Event()
        ask_until(ended, look, 0.1)
        assert ended.wait(30)
        return looks

    assert watching() == [0, 1]
    assert "could not look what has become of the flow run" in caplog.text and "a surprise" in caplog.text


def test_the_server_marks_a_run_without_heartbeats(marked):
    """The run of another process that goes on is left alone."""
    state, suspended = marked.result()
    assert (state["type"], state["message"]) == ("CRASHED", "no sign of life for 12 s")
    assert suspended["type"] == "RUNNING", "who is suspended needs none"


def test_a_crashed_run_is_started_again_as_often_as_it_may_be(api, tmp_path):
    (tmp_path / "again.yaml").write_text(yaml.safe_dump({**tiny_study.STUDY, "study": "again"}))
    deployment = deployed(api, tmp_path / "again.yaml", "home", retries=1)
    assert deployment["job_variables"]["env"]["PREFECT_FLOWS_DEFAULT_RETRIES"] == "1"
    run = asked(api, deployment)
    time.sleep(3)
    with get_client(sync_client=True) as client:
        for crash in (1, 2):
            for kind, name in (("RUNNING", "Running"), ("CRASHED", "Crashed")):
                state = {"state": {"type": kind, "name": name}, "force": True}
                servers.post(f"{api}/flow_runs/{run}/set_state", json=state).raise_for_status()
            until(lambda: client.read_flow_run(UUID(run)).state.name == "AwaitingRetry", 30)
            assert too_often(client, UUID(run), retries=1) == (crash == 2)
        start_again(client, deployment["id"], "study/again", retries=0)
        assert not client.read_automations_by_name("xtreme-dag: start study/again again")
        client.delete_flow_run(UUID(run))
    assert _automations.HEARTBEAT_SECONDS * 3 < 120
