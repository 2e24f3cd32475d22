"""A Prefect server that is restarted, dies or loses its keeper in the middle of a run: the results are not lost."""

import json
import re
import signal
import time

import psutil
import pytest
import yaml

from tests import servers
from tests.flows import tiny_study
from tests.servers import Server, until
from xtreme_dag.core.home import Home

pytestmark = pytest.mark.xdist_group("prefect")
STUDY = {**tiny_study.STUDY, "study": "outage"}
LONG = {
    **STUDY,
    "study": "long",
    "recipe": {"name": "quick", "target": {"default": {"epochs": 100_000, "batch_size": 8, "examples": 16}}},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outage")
    for content in (STUDY, LONG):
        (folder / f"{content['study']}.yaml").write_text(yaml.safe_dump(content))
    return folder


def lines(home):
    ledger = home / "ledger.jsonl"
    return len(ledger.read_text().splitlines()) if ledger.is_file() else 0


def deployed(start, api, study, home):
    """A flow run of a deployment of a study, and the worker that will run it."""
    done = start("xtreme_dag", "deploy", f"{study}.yaml", "--home", home, "--pool", study, api=api)
    said, wrong = done.communicate(timeout=120)
    assert done.returncode == 0, said + wrong
    deployment = servers.get(f"{api}/deployments/name/study/{study}").json()
    assert deployment["global_concurrency_limit"] is None
    run = servers.post(f"{api}/deployments/{deployment['id']}/create_flow_run", json={}).raise_for_status().json()
    worker = start("prefect", "worker", "start", "--pool", study, api=api)
    return run["id"], worker


def state(api, run):
    return servers.get(f"{api}/flow_runs/{run}").json()["state"]


@pytest.mark.slow
def test_a_server_that_restarts_ends_no_run(server, start, place):
    run, _ = deployed(start, server.api, "outage", "home")
    until(lambda: lines(place / "home") >= 1, 120)
    server.stop()
    server.start()  # it is away for as long as it takes to start
    end = until(lambda: (now := state(server.api, run))["type"] not in ("RUNNING", "PENDING", "SCHEDULED") and now, 180)
    assert end["type"] == "COMPLETED", end["message"]
    assert Home(place / "home").results.exists()
    unfinished = {"state": {"type": {"any_": ["PENDING", "RUNNING", "FAILED", "CRASHED"]}}}
    question = {"flow_runs": {"id": {"any_": [run]}}, "task_runs": unfinished}
    until(lambda: servers.post(f"{server.api}/task_runs/count", json=question).text == "0", 30)


@pytest.mark.slow
def test_after_an_outage_a_run_can_be_cancelled(server, start, place):
    run, worker = deployed(start, server.api, "long", "cancelled")
    until(lambda: any("worker" in " ".join(child.cmdline()) for child in worker.children(recursive=True)), 120)
    until(lambda: state(server.api, run)["type"] == "RUNNING", 60)
    family = worker.children(recursive=True)
    server.stop()
    server.start()  # it is away for as long as it takes to start
    asked = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    servers.post(f"{server.api}/flow_runs/{run}/set_state", json=asked).raise_for_status()
    until(lambda: state(server.api, run)["type"] == "CANCELLED", 90)
    assert not psutil.wait_procs(family, timeout=30)[1]


def test_a_run_whose_server_is_gone_for_good_ends_with_its_results_at_once(start, place):
    home = place / "alone"
    process = start("xtreme_dag", "run", "outage.yaml", "--home", "alone", "--json")
    until(lambda: lines(home) >= 1, 180)
    told = json.loads((home / "prefect" / "server.json").read_text())
    server = psutil.Process(told["pid"])
    server.parent().send_signal(signal.SIGKILL)  # the keeper; its server ends with it
    assert not psutil.wait_procs([server], timeout=40)[1]
    said, wrong = process.communicate(timeout=240)
    over = time.time() - (home / "ledger.jsonl").stat().st_mtime
    assert process.returncode == 0, wrong
    stages = json.loads(said)["stages"]
    assert stages["succeeded"] and not stages["failed"] and not stages["not run"]
    warnings = [line for line in wrong.splitlines() if not re.match(r"\d+ (of \d+ )?stages|starting", line)]
    assert len(warnings) == 1 and "does not answer any more" in warnings[0], wrong
    assert over < 45, f"it went on for {over:.0f} s after its last stage"
