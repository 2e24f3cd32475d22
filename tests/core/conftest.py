"""Code in a process of its own, which starts as the program's do: what it imports is not what the tests have imported."""

import inspect
import os
import subprocess
import sys

import pytest

_START = """
import sys
from xtreme_dag.core.processes import quick_start
quick_start()
"""


@pytest.fixture
def run(repository):
    """A function that runs code, with quick imports unless told otherwise; returns the words that it printed."""

    def call(code: str, *, quick: bool = True, **environment: str) -> list[str]:
        words = (_START if quick else "import sys\n") + inspect.cleandoc(code)
        command = [sys.executable, "-c", words]
        done = subprocess.run(command, cwd=repository, env=os.environ | environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    return call
