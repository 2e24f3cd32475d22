"""Calls side by side in several processes, for work that is many small independent calls."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import takewhile
from multiprocessing import forkserver, get_context, resource_tracker
from multiprocessing.connection import Connection
from typing import Any, TypeVar

Found = TypeVar("Found")
# Each process has libraries and a table in memory: a few hundred megabytes.
_MOST = 8
# Seconds that a library takes to load that is worth loading once for all.
_LOADING = 4.0


def abreast(
    function: Callable[..., Found],
    calls: Sequence[tuple[Any, ...]],
    *,
    enough: int,
    loads: Sequence[str] = (),
    ahead: Callable[..., Any] | None = None,
) -> Iterator[Found]:
    """What a function returns for each call's arguments, in order, as soon as it is known.

    Args:
        function: found by its module and name, so that another process can import it.
        calls: the arguments of each call; they are sent to the processes.
        enough: how many calls justify a process. With fewer than two times as many all is done in this one.
        loads: modules that each process needs; they are imported once for all of them.
        ahead: what can be done of a call without these modules. It gets the arguments of the first calls, in this
            process, for as long as the others load; what it returns is handed to the function as one argument more.

    Raises:
        Whatever a call raised, when it is its turn; what has not begun by then is not done. What `ahead` raised, at once.
    """
    processes = min(_MOST, len(os.sched_getaffinity(0)), len(calls) // enough)
    if processes < 2:
        yield from (function(*call) for call in calls)
        return
    # Forks of a process without threads of its own: a fork copies locks that other threads hold at that moment.
    serving = get_context("forkserver")
    serving.set_forkserver_preload(["xtreme_dag.program.survey.fork_server", *loads])
    # Nothing is ever written: its end, closed or gone with this process, ends the processes.
    ending, open_here = serving.Pipe(duplex=False)
    pool = ProcessPoolExecutor(processes, serving, initializer=_attend, initargs=(ending,))
    try:
        _start_server()
        begun = [] if ahead is None else _begun(ahead, calls)
        for future in [pool.submit(function, *call) for call in (*begun, *calls[len(begun) :])]:
            yield future.result()
    except BaseException:
        open_here.close()  # an interruption does not wait for what is being done
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        open_here.close()


def _begun(ahead: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The first calls, as many as there is time for, each with what was done of it ahead."""
    end = time.monotonic() + _LOADING
    return [(*call, ahead(*call)) for call in takewhile(lambda _: time.monotonic() < end, calls)]


def _start_server() -> None:
    """Starts the process that is forked, with interruptions blocked for it and its forks: the parent acts on them."""
    resource_tracker.ensure_running()  # it would unblock them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _attend(ending: Connection) -> None:
    """Ends with the parent, however it ended."""
    threading.Thread(target=_end_with_parent, args=(ending,), daemon=True).start()


def _end_with_parent(ending: Connection) -> None:
    ending.poll(None)
    os._exit(1)
