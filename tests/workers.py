"""One worker for every study that a test process runs without a server."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from xtreme_dag.engine.pool import WorkerPool


@cache
def shared_worker() -> WorkerPool:
    """A pool of one worker, which ends with the test process.

    A worker takes seconds to load torch and its like, more than all stages of a tiny study together: it loads them once.
    """
    return WorkerPool(1, Path(mkdtemp(prefix="workers-")))
