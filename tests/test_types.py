"""Types hold: mypy, strict, beside the other tests, so that it does not keep one of two cores waiting."""

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_mypy_finds_nothing(repository):
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
