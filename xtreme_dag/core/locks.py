"""Locks that the operating system frees when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.1


def try_lock(path: Path, holder: str) -> int | None:
    """Takes the lock if it is free and writes who holds it; returns a handle for `unlock`, or None."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    os.ftruncate(handle, 0)
    os.write(handle, json.dumps({"pid": os.getpid(), "holder": holder}).encode())
    return handle


def unlock(handle: int) -> None:
    """Frees a lock; the file stays, since deleting it would let two holders in."""
    os.close(handle)


def holder_of(path: Path) -> str:
    """Who wrote itself into a lock file, for people to read."""
    try:
        entry = json.loads(path.read_bytes())
        return f"process {entry['pid']} ({entry['holder']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


@contextmanager
def locked(path: Path, holder: str, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Holds a lock; while another process has it, waits and says once for whom.

    Args:
        path: the lock file.
        holder: what to write into it for others to read.
        waiting: called once with the present holder if the lock is not free.
    """
    handle = try_lock(path, holder)
    if handle is None and waiting is not None:
        waiting(holder_of(path))
    while handle is None:
        time.sleep(_POLL_SECONDS)
        handle = try_lock(path, holder)
    try:
        yield
    finally:
        unlock(handle)
