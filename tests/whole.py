"""All tests, in two to four processes: `make test`, or `python -m tests.whole`; what follows goes to pytest.

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
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # what a container may use of the processors, where it is limited
# A run in two processes was seen to leave 6.3 GB of files, and to use 10 GB with all that the tests start.
FILES_BYTES, PROCESS_BYTES = 8 * 2**30, 4 * 2**30
MOST = 4  # the modules that share a server or a finished study run one after another: more would wait for them
OPTIONS = ("--dist", "loadgroup", "--no-loadscope-reorder", "--durations=20")
_ROOT = "PYTEST_DEBUG_TEMPROOT"  # pytest's name for the folder of its temporary files


def processors(quota: Path = QUOTA) -> int:
    """How many processors this process may use."""
    count = len(os.sched_getaffinity(0))
    try:
        share, period = quota.read_text().split()
        return max(1, min(count, int(share) // int(period)))
    except (OSError, ValueError):  # no such file; "max"
        return count


def processes() -> int:
    """How many run the tests: one for each processor that has memory, but two at least, since tests often wait."""
    return max(2, min(MOST, processors(), psutil.virtual_memory().available // PROCESS_BYTES))


def plentiful(folder: Path, count: int) -> bool:
    """Whether a folder in memory has room for the temporary files, and memory that for `count` processes beside them."""
    if not folder.is_dir() or shutil.disk_usage(folder).free < FILES_BYTES:
        return False
    return psutil.virtual_memory().available >= FILES_BYTES + count * PROCESS_BYTES


def main(arguments: Sequence[str], memory: Path = MEMORY) -> int:
    """Runs pytest; returns its exit code."""
    count = processes()
    command = [sys.executable, "-m", "pytest", "-n", str(count), *OPTIONS, *arguments]
    if _ROOT in os.environ or not plentiful(memory, count):
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
