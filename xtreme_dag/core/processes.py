"""Processes that load much and keep it. `python -m xtreme_dag.core.processes MODULE ARGUMENT...` runs a module as one.

torch, Prefect or Great Expectations make some five hundred thousand objects while they load, all of which stay. Python
looks for garbage whenever there are 700 objects more: a quarter of the time that loading takes, and up to three seconds
more when the process ends.
"""

from __future__ import annotations

import atexit
import gc
import sys

_NEW_OBJECTS = 50_000  # more of them save nothing further


def quick_start() -> None:
    """Lets Python look for garbage seldom in this process, and not at its end."""
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
