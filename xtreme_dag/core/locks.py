"""File locks (`flock`), which the operating system releases when the process that holds them ends."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
_POLL_SECONDS = 0.05
_TRIES = 100  # a file is removed between two looks at it once or twice, not so often


def try_lock(path: Path, holder: str, *, shared: bool = False) -> int | None:
    """Takes a lock if it is free and writes the holder into its file; returns a handle for `unlock`, or None.

    A `shared` lock, which does not say who holds it, keeps out only those that want it for themselves.

    Raises:
        OSError: the file cannot be made or written; the lock is not held then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _taken(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, os.O_CREAT)
    if handle is None or shared:
        return handle
    with ExitStack() as undo:
        undo.callback(os.close, handle)
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps({"pid": os.getpid(), "holder": holder}).encode())
        undo.pop_all()
    return handle


def _taken(path: Path, how: int, flags: int = 0) -> int | None:
    """A handle with the lock of a file, or None if the lock is not free."""
    for _ in range(_TRIES):
        with ExitStack() as undo:
            handle = os.open(path, os.O_RDWR | flags, 0o644)
            undo.callback(os.close, handle)
            try:
                fcntl.flock(handle, how | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            # Of a file that was removed after it was opened (`remove_free`) the next one to come has no notion.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), path.stat()):
                    undo.pop_all()
                    return handle
    raise OSError(errno.ESTALE, "the lock file is never the one that was opened", str(path))


def unlock(handle: int) -> None:
    """Releases a lock; the file stays, for `remove_free`."""
    os.close(handle)


def is_free(path: Path) -> bool:
    """Whether nobody holds a lock; one without a file is free."""
    try:
        handle = _taken(path, fcntl.LOCK_EX)
    except FileNotFoundError:
        return True
    if handle is not None:
        os.close(handle)
    return handle is not None


def remove_free(path: Path) -> bool:
    """Removes the file of a lock, unless it is gone or somebody holds it; whether it did.

    Only whoever holds a lock alone may remove its file, and whoever has opened it by then takes another (`_taken`): so
    there are never two holders.
    """
    try:
        handle = _taken(path, fcntl.LOCK_EX)
    except FileNotFoundError:
        return False
    if handle is None:
        return False
    try:
        path.unlink()
    finally:
        os.close(handle)
    return True


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
