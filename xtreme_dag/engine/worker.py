"""A worker process: imports heavy libraries once, then runs stage functions one after another.

It reads requests (one JSON line each) from its standard input and answers on the descriptor that was its standard
output; what stage functions print goes to standard error, which is a log file. It dies with its parent.

Told to end, by a line `{"stop": ...}` or by a signal, it lets a stage that looks at `StageContext.stopping` write its
checkpoint; any other stage ends with it.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from xtreme_dag.core.context import StageContext, Stopped
from xtreme_dag.core.disk import full_disk, is_full
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.locks import locked
from xtreme_dag.core.processes import quick_start

# A process that has grown by this much since its last collection has something to collect.
_GROWTH_BYTES = 128 << 20


_ORPHAN_SECONDS = 25.0
# The signals that tell a process to end.
TOLD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Orders:
    """Whether the stage that runs shall stop, and the process with it.

    Attributes:
        leaves: whether the process ends after this stage.
    """

    def __init__(self) -> None:
        self.leaves = False
        self._asked = False
        self._looks = False

    def stopping(self) -> bool:
        """For the stage: whether it is to write a checkpoint and stop; one that asks is waited for."""
        self._looks = True
        return self._asked

    def forget(self) -> None:
        """The next stage has not asked yet."""
        self._looks = False

    def stop(self, leaves: bool, end: Callable[[], object] = lambda: os._exit(0)) -> None:
        """Asks the stage to stop; with `leaves` the process ends, by `end` at once if the stage does not look."""
        self._asked = True
        self.leaves = self.leaves or leaves
        if leaves and not self._looks:
            end()

    def heed(self) -> None:
        """Takes signals for orders to stop and leave, unless they are ignored."""
        own = os.getpid()

        def told(number: int, _frame: object) -> None:
            if os.getpid() != own:  # a stage's own child, which is not waited for
                _end_by(number)
            self.stop(leaves=True, end=lambda: _end_by(number))

        for number in TOLD:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, told)


def _end_by(number: int) -> None:
    """Ends this process as a signal does that nobody handles."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _read_requests(requests: SimpleQueue[str], orders: _Orders) -> None:
    for line in sys.stdin:
        if (order := json.loads(line).get("stop")) is not None:
            orders.stop(leaves=order == "leave")
        else:
            requests.put(line)
    # The parent is gone or wants no more. Prefect's workers kill their runs when they are stopped, so a stage that writes
    # checkpoints has time for one; its lock makes a next run of it wait.
    orders.stop(leaves=True)
    time.sleep(_ORPHAN_SECONDS)
    os._exit(0)


def main() -> None:
    """Serves requests until the parent closes the pipe."""
    quick_start()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    guard = threading.Lock()

    def answer(event: Mapping[str, Any]) -> None:
        with guard, suppress(BrokenPipeError):  # the parent is gone, and the stage may be about to write a checkpoint
            answers.write(json.dumps(dict(event), default=str) + "\n")

    orders = _Orders()
    orders.heed()
    requests: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests, orders), daemon=True).start()
    floor = _resident()
    while not orders.leaves:
        request = json.loads(requests.get())
        before = _resident()
        load((*request["imports"], request["function"].partition(":")[0]))
        # Libraries are no garbage, and a collection with them takes half a second.
        floor += max(0, _resident() - before)
        _serve(request, answer, orders)
        floor = _tidied(floor)


def load(modules: Iterable[str]) -> None:
    """Imports modules; what cannot be imported is left to the stage that needs it, which says so."""
    for name in modules:
        with suppress(Exception):
            importlib.import_module(name)


def _tidied(floor: int) -> int:
    """Collects garbage once the process has grown; returns the new floor, in bytes.

    Large buffers hang in cycles of few objects, so Python's own collector, which counts objects,
    waits for hours. A collection takes some tenths of a second: too long for every stage of a study of small ones, most
    of which only leave freed memory behind.
    """
    if (now := _resident()) >= floor + _GROWTH_BYTES:
        _give_back()
        now = _resident()
    if now < floor + _GROWTH_BYTES:
        return min(floor, now)
    gc.collect()
    _give_back()
    return _resident()


def _give_back() -> None:
    """Returns freed memory to the system: glibc keeps the gigabytes of a training for the evaluations after it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _resident() -> int:
    """Resident memory of this process, in bytes; where that is not known, its peak."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return _peak()


def _serve(request: Mapping[str, Any], answer: Callable[[Mapping[str, Any]], None], orders: _Orders) -> None:
    started = time.perf_counter()
    _forget_peak()
    try:
        figures = _call(request, answer, orders)
        answer(
            {
                "event": "done",
                "figures": figures,
                "seconds": time.perf_counter() - started,
                "peak_memory_bytes": _peak(),
            }
        )
    except Stopped as stopped:
        answer({"event": "stopped", "message": str(stopped)})
    except Exception as error:
        told = full_disk(str(request["out"])) if is_full(error) else error
        if isinstance(told, UserError):
            answer({"event": "error", "what": told.what, "where": told.where, "fix": told.fix})
        else:
            answer({"event": "error", **_crash(error)})
    finally:
        orders.forget()


def _call(
    request: Mapping[str, Any], answer: Callable[[Mapping[str, Any]], None], orders: _Orders
) -> Mapping[str, Any]:
    module, _, name = request["function"].partition(":")
    function = getattr(importlib.import_module(module), name)
    context = StageContext(
        out=Path(request["out"]),
        scratch=Path(request["scratch"]),
        options=request["options"],
        listen=answer,
        stopping=orders.stopping,
    )
    inputs = {key: Path(path) for key, path in request["inputs"].items()}
    # An earlier process of this stage may still be at its last checkpoint, or about to write what nobody waits for.
    with locked(context.scratch / ".lock", str(request["function"])):
        for left in context.out.iterdir():
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        return function(request["params"], inputs, context) or {}


def _crash(error: Exception) -> dict[str, str]:
    frames = error.__traceback__
    for _ in range(2):  # `_serve` and `_call` are nothing to look for a mistake in
        frames = frames.tb_next if frames and frames.tb_next else frames
    text = "".join(traceback.format_exception(type(error), error, frames))
    print(text, file=sys.stderr, flush=True)
    return {"what": f"{type(error).__name__}: {error}".splitlines()[0], "where": "", "fix": "", "traceback": text}


def _forget_peak() -> None:
    """Lets the peak begin anew, so that a stage is not told that of one before it; Linux alone can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # 5: the peak resident size, see proc_pid_clear_refs(5)


def _peak() -> int:
    """Peak resident memory of this process since `_forget_peak`, in bytes; where that is not known, of its life."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main()
