"""The short form of two drills that need a finished home: damage and kills."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_damage_is_told_or_mended_and_killed_runs_are_gone_on_with():
    command = [
        sys.executable,
        "-m",
        "tests.drills",
        "--only",
        "damage,kills",
        "--no-prefect",
        "--most",
        "24",
        "--kills",
        "4",
    ]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split(" | ")[:2] for line in done.stdout.splitlines() if line.startswith("| ")]
    assert ["| damage", "24"] in rows and ["| kills", "4"] in rows
