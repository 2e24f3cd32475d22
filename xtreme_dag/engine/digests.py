"""Content digests of files and folders, and a cache of the digests of files that have not changed since."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import sha256_of, write_atomically

_BLOCK = 1 << 20
# A file changed this shortly before it was hashed could change again without a new time stamp.
_SETTLED_NS = 2_000_000_000
_STATE = 4  # size, mtime_ns, ctime_ns, inode


def file_digest(path: Path) -> str:
    """sha256 (hexadecimal) of a file's bytes.

    Raises:
        OSError: it cannot be read, or is no regular file (reading a pipe would not end).
    """
    state = hashlib.sha256()
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(None, "not a regular file", str(path))
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            state.update(block)
    return state.hexdigest()


def tree_digest(files: dict[str, tuple[str, int]]) -> str:
    """Digest of an artifact: of its relative paths and their digests."""
    return sha256_of({name: digest for name, (digest, _size) in files.items()})


def list_files(folder: Path) -> dict[str, Path]:
    """Relative POSIX path -> file, for every file under a folder, in sorted order."""
    root = str(folder)
    found: dict[str, Path] = {}
    for parent, _folders, names in os.walk(root):
        inside = os.path.relpath(parent, root).replace(os.sep, "/") + "/" if parent != root else ""
        found |= {inside + name: Path(parent, name) for name in names}
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class Hashed:
    """The digest of a file in its present state, and when (seconds since the epoch) it was computed from the bytes."""

    digest: str
    time: float


class FileDigests:
    """Digests of files, remembered by size, modification and status change time and inode; for any number of threads.

    Reading never writes: `save` does, so that a plan leaves no trace.

    Args:
        memory: the JSON file in which another process finds them.
        settled_ns: how long ago a file must have changed for its digest to be remembered.

    Attributes:
        trouble: what is wrong with the memory, which then counts as empty; "" if nothing is.
    """

    def __init__(self, memory: Path, *, settled_ns: int = _SETTLED_NS) -> None:
        self._memory = memory
        self._settled_ns = settled_ns
        self._known, self.trouble = _remembered(memory)
        self._fresh = False
        self._guard = threading.Lock()
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def digest(self, path: Path) -> str:
        """Content digest of a file, or of a folder's files.

        Raises:
            UserError: the path is missing or cannot be read.
        """
        try:
            if path.is_dir():
                return sha256_of({name: self.file(file).digest for name, file in list_files(path).items()})
            return self.file(path).digest
        except OSError as error:
            raise UserError(f"cannot be read ({error.strerror})", where=str(path)) from None

    def file(self, path: Path) -> Hashed:
        """The digest of a file's bytes; those in a state that was hashed before are not read again.

        Raises:
            OSError: it cannot be read.
        """
        name = str(path)
        with self._guard:
            turn = self._turns[name]
        with turn:  # a second reader waits for the first to hash the file instead of hashing it too
            state = path.stat()
            known = self._known.get(name)
            if known is not None and known[:_STATE] == _stamp(state):
                return Hashed(known[_STATE], known[_STATE + 1])
            found = Hashed(file_digest(path), time.time())
            if time.time_ns() - state.st_mtime_ns > self._settled_ns:
                self._keep(name, state, found)
            return found

    def knows(self, path: Path) -> bool:
        """Whether a file is in a state in which it was hashed before.

        Raises:
            OSError: it cannot be read.
        """
        known = self._known.get(str(path))
        return known is not None and known[:_STATE] == _stamp(path.stat())

    def remember(self, path: Path, digest: str) -> None:
        """Takes over the digest of a file that its writer has just hashed.

        Raises:
            OSError: the file is gone.
        """
        self._keep(str(path), path.stat(), Hashed(digest, time.time()))

    def _keep(self, name: str, state: os.stat_result, found: Hashed) -> None:
        with self._guard:
            self._known[name] = [*_stamp(state), found.digest, found.time]
            self._fresh = True

    def save(self) -> None:
        """Writes what was learnt, with what other processes wrote meanwhile; losing it costs time only."""
        with self._guard:
            if self._fresh:
                known = {**_remembered(self._memory)[0], **self._known}
                kept = {name: entry for name, entry in known.items() if Path(name).exists()}
                write_atomically(self._memory, json.dumps(kept, sort_keys=True))
                self._fresh = False


def _stamp(state: os.stat_result) -> list[int]:
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]


def read_cache(path: Path) -> tuple[dict[str, Any], str]:
    """The JSON mapping in a cache file, and what is wrong with the file ("" if nothing is; it then counts as empty)."""
    try:
        content = json.loads(path.read_bytes())
        if isinstance(content, dict):
            return content, ""
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError, RecursionError):
        pass
    return {}, f"{path} is damaged: what it held is computed again"


def _remembered(memory: Path) -> tuple[dict[str, list[Any]], str]:
    content, trouble = read_cache(memory)
    known = {name: entry for name, entry in content.items() if _is_entry(entry)}
    return known, trouble


def _is_entry(entry: object) -> bool:
    """Whether a remembered value is a state with its digest and time; those of earlier versions are not."""
    if not isinstance(entry, list) or len(entry) != _STATE + 2:
        return False
    *state, digest, moment = entry
    return all(type(number) is int for number in state) and isinstance(digest, str) and isinstance(moment, float)
