"""Programs that a test of flows starts, ended with the test."""

import os
import subprocess
import sys

import psutil
import pytest


@pytest.fixture
def start(place, repository):
    """Starts a program in the module's `place`; whatever still runs is ended with the test."""
    started = []

    def start(*arguments, api=""):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        environment |= {"PYTHONPATH": str(repository), "PREFECT_HOME": str(place / "none")}
        environment |= {"PREFECT_API_URL": api} if api else {}
        # Prefect's workers ask for runs every 10 s: the tests would wait for that alone.
        environment |= {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_WORKER_PREFETCH_SECONDS": "1"}
        process = psutil.Popen(
            [sys.executable, "-m", *arguments], cwd=place, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.is_running():
            for child in process.children(recursive=True):
                child.kill()
            process.kill()
            process.communicate()
