"""File locks (`flock`), which the operating system releases when the process that holds them ends."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
_POLL_SECONDS = 0.05


def try_lock(path: Path, holder: str, *, shared: bool = False) -> int | None:
    """Takes a lock if it is free and writes the holder into its file; returns a handle for `unlock`, or None.

    A `shared` lock, which does not say who holds it, keeps out only those that want it for themselves.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    if shared:
        return handle
    os.ftruncate(handle, 0)
    os.write(handle, json.dumps({"pid": os.getpid(), "holder": holder}).encode())
    return handle


def unlock(handle: int) -> None:
    """Releases a lock; the file stays, since deleting it would allow two holders."""
    os.close(handle)


def holder_of(path: Path) -> str:
    """The holder named in a lock file, for people to read."""
    try:
        entry = json.loads(path.read_bytes())
        return f"process {entry['pid']} ({entry['holder']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def wait_for(
    attempt: Callable[[], T | None], waiting: Callable[[], object] | None = None, seconds: float | None = None
) -> T | None:
    """Repeats an attempt until it returns a value.

    Args:
        attempt: returns None as long as it has no success.
        waiting: called once, if the first attempt returns None.
        seconds: how long to try; None for no limit.

    Returns:
        What the attempt returned; None when time is up.
    """
    end = None if seconds is None else time.monotonic() + seconds
    found = attempt()
    if found is None and waiting is not None:
        waiting()
    while found is None and (end is None or time.monotonic() < end):
        time.sleep(_POLL_SECONDS)
        found = attempt()
    return found


@contextmanager
def locked(
    path: Path,
    holder: str,
    waiting: Callable[[str], None] | None = None,
    seconds: float | None = None,
    *,
    shared: bool = False,
) -> Iterator[None]:
    """Holds a lock for a block; waits while another process holds it.

    Args:
        path: the lock file.
        holder: what to write into it for others to read.
        waiting: called once with the present holder if the lock is not free.
        seconds: how long to wait; None for no limit.
        shared: let others have it too that want it shared.

    Raises:
        TimeoutError: time is up; the message names the holder.
    """
    tell = None if waiting is None else lambda: waiting(holder_of(path))
    handle = wait_for(lambda: try_lock(path, holder, shared=shared), tell, seconds)
    if handle is None:
        raise TimeoutError(holder_of(path))
    try:
        yield
    finally:
        unlock(handle)
