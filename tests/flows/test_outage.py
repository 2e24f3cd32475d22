"""A Prefect server that is restarted or dies in the middle of a run: the results are not lost."""

import json
import re
import time

import psutil
import pytest
import yaml

from tests import servers
from tests.flows import tiny_study
from tests.flows.deployments import asked, deployed, ended, state
from tests.servers import Server, until
from tests.workers import workers_of
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
    # Of another seed, so that there is something to do although the home has all that the first runs made.
    for content in ({**STUDY, "seeds": [2]}, LONG):
        (folder / f"{content['study']}.yaml").write_text(yaml.safe_dump(content))
    return folder


def lines(home):
    ledger = home / "ledger.jsonl"
    return len(ledger.read_text().splitlines()) if ledger.is_file() else 0


@pytest.mark.slow
def test_a_server_that_restarts_ends_no_run_and_one_can_be_cancelled(server, start, place):
    deployment = deployed(server.api, place / "long.yaml", "home")
    assert deployment["global_concurrency_limit"] is None
    long = asked(server.api, deployment)
    short = asked(server.api, deployment, parameters={"overrides": ["recipe.target.default.epochs=1"]})
    worker = start("prefect", "worker", "start", "--pool", "long", api=server.api)
    until(lambda: lines(place / "home") >= 1, 180)
    until(lambda: {state(server.api, run)["type"] for run in (long, short)} == {"RUNNING"}, 60)
    server.stop()
    server.start()  # it is away for as long as it takes to start
    end = ended(server.api, short)
    assert end["type"] == "COMPLETED", end["message"]
    assert Home(place / "home").results.exists()
    unfinished = {"state": {"type": {"any_": ["PENDING", "RUNNING", "FAILED", "CRASHED"]}}}
    question = {"flow_runs": {"id": {"any_": [short]}}, "task_runs": unfinished}
    until(lambda: servers.post(f"{server.api}/task_runs/count", json=question).text == "0", 30)

    until(lambda: workers_of(worker), 120)
    assert state(server.api, long)["type"] == "RUNNING"
    family = worker.children(recursive=True)
    asked_for = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    servers.post(f"{server.api}/flow_runs/{long}/set_state", json=asked_for).raise_for_status()
    until(lambda: state(server.api, long)["type"] == "CANCELLED", 90)
    assert not psutil.wait_procs(family, timeout=30)[1]


def test_a_run_whose_server_is_gone_for_good_ends_with_its_results_at_once(server, start, place):
    """Whose server it is makes no difference; that a run's own ends with its keeper, tests/program/test_server.py holds."""
    home = place / "home"
    before = lines(home)
    process = start("xtreme_dag", "run", "outage.yaml", "--home", "home", "--workers", "1", "--json", api=server.api)
    until(lambda: lines(home) > before, 180)
    server.stop()
    said, wrong = process.communicate(timeout=240)
    over = time.time() - (home / "ledger.jsonl").stat().st_mtime
    assert process.returncode == 0, wrong
    stages = json.loads(said)["stages"]
    assert stages["succeeded"] and not stages["failed"] and not stages["not run"]
    warnings = [line for line in wrong.splitlines() if not re.match(r"\d+ (of \d+ )?stages|starting", line)]
    assert len(warnings) == 1 and "does not answer any more" in warnings[0], wrong
    assert over < 45, f"it went on for {over:.0f} s after its last stage"
