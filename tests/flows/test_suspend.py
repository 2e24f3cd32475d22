"""Suspended, told to end, hung up: each leaves a checkpoint of the training under way, from which the next run goes on."""

import re
import signal

import psutil
import pytest
import yaml

from tests import servers
from tests.flows.deployments import asked, deployed, state
from tests.flows.test_outage import LONG
from tests.servers import until
from tests.workers import workers_of

pytestmark = pytest.mark.xdist_group("prefect")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suspend")
    (folder / "long.yaml").write_text(yaml.safe_dump(LONG))
    return folder


def checkpoint(place):
    """The step of the newest checkpoint; none are due by the clock."""
    steps = [int(path.name.removeprefix("step-")) for path in (place / "home" / "work").rglob("step-*")]
    return max(steps, default=0)


def said(api, *runs):
    """The newest log lines, of some flow runs or of all."""
    question = {"logs": {"flow_run_id": {"any_": runs}} if runs else None, "sort": "TIMESTAMP_DESC", "limit": 200}
    return [line["message"] for line in servers.post(f"{api}/logs/filter", json=question).json()]


def reached(api, step, total):
    """Whether a training of so many steps has come further than to a step."""
    found = (re.fullmatch(rf"step (\d+) of {total}\b.*", line) for line in said(api))
    return any(match and int(match[1]) > step for match in found)


def suspend(api, run, **details):
    asked = {"state": {"type": "PAUSED", "name": "Suspended", "state_details": {"pause_reschedule": True, **details}}}
    return servers.post(f"{api}/flow_runs/{run}/set_state", json=asked).raise_for_status()


@pytest.mark.slow
def test_a_training_goes_on_after_everything_that_ends_a_run(start, place, prefect_api):
    run = asked(prefect_api, deployed(prefect_api, place / "long.yaml", "home"))
    worker = start("prefect", "worker", "start", "--pool", "long", api=prefect_api)
    total = LONG["recipe"]["target"]["default"]["epochs"] * 2  # steps of the training, two an epoch
    until(lambda: reached(prefect_api, 0, total), 240)
    family = workers_of(worker)
    suspend(prefect_api, run)
    assert not psutil.wait_procs(family, timeout=120)[1]
    until(lambda: not workers_of(worker), 120)
    assert state(prefect_api, run)["name"] == "Suspended"
    first = checkpoint(place)
    assert first

    # Resumed in the UI; the worker that has it is stopped, as a container is.
    servers.post(f"{prefect_api}/flow_runs/{run}/resume", json={}).raise_for_status()
    until(lambda: reached(prefect_api, first, total), 240)
    assert any(line.startswith(f"resumed at step {first} of {total}") for line in said(prefect_api, run))
    family = workers_of(worker)
    worker.send_signal(signal.SIGTERM)
    assert not psutil.wait_procs(family, timeout=120)[1]
    second = checkpoint(place)
    assert second > first

    # A closed terminal.
    program = start("xtreme_dag", "run", "long.yaml", "--home", "home", "--workers", "1", api=prefect_api)
    until(lambda: reached(prefect_api, second, total), 240)
    family = workers_of(program)
    program.send_signal(signal.SIGHUP)
    program.communicate(timeout=120)
    assert program.returncode == 130 and not psutil.wait_procs(family, timeout=120)[1]
    assert checkpoint(place) > second
