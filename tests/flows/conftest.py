"""Programs that a test of flows starts, ended with the test."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psutil
import pytest
import yaml

from tests.flows import tiny_study
from tests.flows.deployments import deployed


@contextmanager
def programs(place, repository):
    """Gives what starts a program in a folder; whatever still runs is ended with the block."""
    started = []

    def start(*arguments, api=""):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        environment |= {"PYTHONPATH": str(repository), "PREFECT_HOME": str(place / "none")}
        environment |= {"PREFECT_API_URL": api} if api else {}
        # Prefect's workers ask for runs every 10 s: the tests would wait for that alone.
        environment |= {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_WORKER_PREFETCH_SECONDS": "1"}
        # A program inherits which signals are ignored, and a job in the background of a script ignores some.
        before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGHUP)}
        try:
            process = psutil.Popen(
                [sys.executable, "-m", *arguments], cwd=place, env=environment,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            if process.is_running():
                for child in process.children(recursive=True):
                    child.kill()
                process.kill()
                process.communicate()


@pytest.fixture
def start(place, repository):
    """Starts a program in the module's `place`; whatever still runs is ended with the test."""
    with programs(place, repository) as start:
        yield start


@pytest.fixture(scope="module")
def worker_of(place, repository, prefect_api):
    """Starts a worker of a work pool, which runs until the module's tests are over."""
    with programs(place, repository) as start:
        yield lambda pool: start("prefect", "worker", "start", "--pool", pool, api=prefect_api)


@pytest.fixture(scope="session")
def timed(tmp_path_factory, prefect_api):
    """A deployment whose schedule fires in 15 to 75 s; its study file is `timed.yaml` in the folder given, too."""
    folder = tmp_path_factory.mktemp("timed")
    (folder / "timed.yaml").write_text(yaml.safe_dump({**tiny_study.STUDY, "study": "timed", "seeds": [1, 2]}))
    moment = datetime.now(UTC) + timedelta(seconds=75)  # the scheduler looks every few seconds
    cron = f"{moment.minute} {moment.hour} * * *"
    return folder, deployed(prefect_api, folder / "timed.yaml", "home", pool="on-schedule", cron=cron)
