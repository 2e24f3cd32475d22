"""Loaded first by the process that only waits to be forked, see `abreast`: it starts quickly and ends with its parent.

By itself it would first load and then take apart what it was told to load, for seconds, and whoever reads this
program's output through a pipe would wait for that: it holds the pipe too.
"""

import ctypes
import signal
import sys

from xtreme_dag.core.processes import quick_start

_ON_END_OF_PARENT = 1  # PR_SET_PDEATHSIG of linux/prctl.h; a fork does not inherit it

if sys.platform == "linux" and any("multiprocessing.forkserver" in part for part in sys.orig_argv):
    quick_start()
    ctypes.CDLL(None).prctl(_ON_END_OF_PARENT, signal.SIGKILL)
