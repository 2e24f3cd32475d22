"""Types hold: mypy, strict, beside the other tests, so that it does not keep one of two cores waiting."""

import os
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_mypy_finds_nothing(repository):
    """With the cache of `make check` if there is one; without, none is written, which takes a seventh of the time."""
    cache = [] if (repository / ".mypy_cache").is_dir() else ["--cache-dir", os.devnull]
    done = subprocess.run([sys.executable, "-m", "mypy", *cache], cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
