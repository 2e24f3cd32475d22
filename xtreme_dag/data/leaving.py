"""Loaded by a process that only waits to be forked, see `abreast`: it ends at once when it is no longer needed.

Taking hundreds of modules apart would take it a second, and whoever reads this program's output through a pipe would
wait for it: it holds the pipe too.
"""

import atexit
import os
import sys

if any("multiprocessing.forkserver" in part for part in sys.orig_argv):  # nowhere else, whoever imports this
    atexit.register(os._exit, 0)
