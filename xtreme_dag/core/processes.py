"""Processes that load much and keep it. `python -m xtreme_dag.core.processes MODULE ARGUMENT...` runs a module as one.

torch, Prefect or Great Expectations make some five hundred thousand objects while they load, all of which stay. Python
looks for garbage whenever there are 700 objects more: a quarter of the time that loading takes, and up to three seconds
more when the process ends.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from collections.abc import Callable

_NEW_OBJECTS = 50_000  # more of them save nothing further


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
    """Raises the threshold of Python's garbage collector in this process, and skips its last collection."""
    gc.set_threshold(_NEW_OBJECTS)
    atexit.register(_leave)


def _leave() -> None:
    """Takes everything out of the interpreter's last collection."""
    if "duckdb" not in sys.modules:  # its binding prints a list of what was not taken apart
        gc.freeze()


if __name__ == "__main__":
    import runpy

    quick_start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
