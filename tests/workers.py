"""One worker for every study that a test process runs without a server; which processes are workers, and which are new."""

from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import psutil

from xtreme_dag.engine.pool import WorkerPool


@cache
def shared_worker() -> WorkerPool:
    """A pool of one worker, which ends with the test process.

    A worker takes seconds to load torch and its like, more than all stages of a tiny study together: it loads them once.
    """
    return WorkerPool(1, Path(mkdtemp(prefix="workers-")))


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    """The processes below one that run stages, started directly or forked; not the template that they are forked from."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for child in process.children(recursive=True):
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                line = child.cmdline()
                forked = "xtreme_dag.engine.forks" in line and child.parent().cmdline() == line
                if forked or "xtreme_dag.engine.worker" in line:
                    found.append(child)
    return found


def started_since(before: set[psutil.Process]) -> set[psutil.Process]:
    """The processes below this one, but for those that were there and what they have started: a browser starts more."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if before.isdisjoint([process, *process.parents()]):
                found.add(process)
    return found
