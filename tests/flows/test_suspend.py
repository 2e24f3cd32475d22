"""Suspended, told to end, hung up: each leaves a checkpoint of the training under way, from which the next run goes on."""

import signal

import httpx
import psutil
import pytest
import yaml

from tests.flows.test_outage import LONG, deployed, state
from tests.servers import until

pytestmark = pytest.mark.xdist_group("prefect")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suspend")
    (folder / "long.yaml").write_text(yaml.safe_dump(LONG))
    return folder


def trains(process):
    """Whether a process below this one trains, and has taken steps."""
    family = process.children(recursive=True)
    return [each for each in family if "engine.worker" in " ".join(each.cmdline())]


def checkpoint(place):
    """The step of the newest checkpoint; none are due by the clock."""
    steps = [int(path.name.removeprefix("step-")) for path in (place / "home" / "work").rglob("step-*")]
    return max(steps, default=0)


def said(api, *runs):
    """The newest log lines, of some flow runs or of all."""
    question = {"logs": {"flow_run_id": {"any_": runs}} if runs else None, "sort": "TIMESTAMP_DESC", "limit": 200}
    return [line["message"] for line in httpx.post(f"{api}/logs/filter", json=question).json()]


def suspend(api, run, **details):
    asked = {"state": {"type": "PAUSED", "name": "Suspended", "state_details": {"pause_reschedule": True, **details}}}
    return httpx.post(f"{api}/flow_runs/{run}/set_state", json=asked).raise_for_status()


@pytest.mark.slow
def test_a_training_goes_on_after_everything_that_ends_a_run(start, place, prefect_api):
    run, worker = deployed(start, prefect_api, "long", "home")
    steps = f"of {LONG['recipe']['target']['default']['epochs'] * 2}"  # those of the training, which are two an epoch
    until(lambda: any(line.startswith("step ") and steps in line for line in said(prefect_api, run)), 240)
    family = trains(worker)
    suspend(prefect_api, run)
    assert not psutil.wait_procs(family, timeout=60)[1]
    until(lambda: not trains(worker), 60)
    assert state(prefect_api, run)["name"] == "Suspended"
    first = checkpoint(place)
    assert first

    # Resumed in the UI; the worker that has it is stopped, as a container is.
    httpx.post(f"{prefect_api}/flow_runs/{run}/resume", json={}).raise_for_status()
    until(lambda: any(line.startswith(f"resumed at step {first} {steps}") for line in said(prefect_api, run)), 180)
    family = trains(worker)
    worker.send_signal(signal.SIGTERM)
    assert not psutil.wait_procs(family, timeout=60)[1]
    second = checkpoint(place)
    assert second > first

    # A closed terminal.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        program = start("xtreme_dag", "run", "long.yaml", "--home", "home", api=prefect_api)
    finally:
        signal.signal(signal.SIGHUP, before)
    until(lambda: any(line.startswith(f"resumed at step {second} {steps}") for line in said(prefect_api)), 180)
    family = trains(program)
    program.send_signal(signal.SIGHUP)
    program.communicate(timeout=60)
    assert program.returncode == 130 and not psutil.wait_procs(family, timeout=60)[1]
    assert checkpoint(place) > second
