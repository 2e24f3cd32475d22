"""All tests, in two processes: `make test`, or `python -m tests.whole`; what follows goes to pytest.

They write 6 GB of temporary files and wait for the disk thousands of times, which on a shared machine may stand still for
20 seconds. Where memory is plentiful the files are kept in it; after a run without failures they are removed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psutil

MEMORY = Path("/dev/shm")  # Linux keeps the files of this folder in memory
# A run was seen to leave 6.3 GB of files, and to use 10 GB with all processes.
FILES_BYTES, PROCESSES_BYTES = 8 * 2**30, 8 * 2**30
OPTIONS = ("-n", "2", "--dist", "loadgroup", "--no-loadscope-reorder", "--durations=20")
_ROOT = "PYTEST_DEBUG_TEMPROOT"  # pytest's name for the folder of its temporary files


def plentiful(folder: Path) -> bool:
    """Whether a folder in memory has room for the temporary files, and memory that for the processes beside them."""
    if not folder.is_dir() or shutil.disk_usage(folder).free < FILES_BYTES:
        return False
    return psutil.virtual_memory().available >= FILES_BYTES + PROCESSES_BYTES


def main(arguments: Sequence[str], memory: Path = MEMORY) -> int:
    """Runs pytest; returns its exit code."""
    command = [sys.executable, "-m", "pytest", *OPTIONS, *arguments]
    if _ROOT in os.environ or not plentiful(memory):
        return subprocess.run(command).returncode
    root = tempfile.mkdtemp(prefix="xtreme-dag-tests-", dir=memory)
    code = subprocess.run(command, env={**os.environ, _ROOT: root}).returncode
    if code == 0:
        shutil.rmtree(root)
    else:
        print(f"temporary files, in memory until they are removed: {root}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
