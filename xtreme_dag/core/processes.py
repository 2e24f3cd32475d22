"""Processes that import large libraries, and end with their parent.

Importing torch, Prefect or Great Expectations creates about 500,000 objects that live until the process ends. By default
Python's collector runs whenever 700 objects have been added: that takes a quarter of the import time, and the collection
at exit up to three seconds. `python -m xtreme_dag.core.processes MODULE ARGUMENT...` runs a module with a higher threshold,
and with quick imports.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable

from xtreme_dag.core import quick_imports

_THRESHOLD = 50_000  # new objects between collections; a higher value saves nothing more


def end_with_parent(end: Callable[[], object] = lambda: os._exit(1)) -> None:
    """Ends this process when its parent does, however that went.

    Args:
        end: called once standard input, a pipe from the parent, is closed.
    """

    def watch() -> None:
        sys.stdin.read()
        end()

    threading.Thread(target=watch, daemon=True).start()


def quick_start() -> None:
    """Raises the threshold of the garbage collector, makes the collection at exit short, and later imports quick."""
    gc.set_threshold(_THRESHOLD)
    atexit.register(_freeze)
    quick_imports.install()


def _freeze() -> None:
    """Exempts all objects from the collection at exit."""
    if "duckdb" not in sys.modules:  # its binding prints a list of the objects that were not freed
        gc.freeze()


if __name__ == "__main__":
    import runpy

    quick_start()
    # The parent passes every way to be told to end on as SIGINT, which a job in the background of a script ignores, and
    # so would this process.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
