"""Content digests of files and folders, and a memory of those that have not changed since."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import sha256_of, write_atomically

_BLOCK = 1 << 20
# A file changed this shortly before it was hashed could change again without a new time stamp.
_SETTLED_NS = 2_000_000_000


def file_digest(path: Path) -> str:
    """sha256 (hexadecimal) of a file's bytes."""
    state = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            state.update(block)
    return state.hexdigest()


def tree_digest(files: dict[str, tuple[str, int]]) -> str:
    """Digest of an artifact: of its relative paths and their digests."""
    return sha256_of({name: digest for name, (digest, _size) in files.items()})


def list_files(folder: Path) -> dict[str, Path]:
    """Relative POSIX path -> file, for every file under a folder, in sorted order."""
    found = {}
    for parent, _folders, names in os.walk(folder):
        for name in names:
            path = Path(parent) / name
            found[path.relative_to(folder).as_posix()] = path
    return dict(sorted(found.items()))


class SourceDigests:
    """Digests of raw files, remembered by size, modification time and inode.

    Reading never writes: `save` does, so that a plan leaves no trace.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known: dict[str, list[object]] = {}
        self._fresh = False
        try:
            self._known = json.loads(memory.read_text())
        except (OSError, ValueError):
            self._known = {}

    def digest(self, path: Path) -> str:
        """Content digest of a file, or of a folder's files.

        Raises:
            UserError: the path is missing or cannot be read.
        """
        try:
            if path.is_dir():
                return sha256_of({name: self._file(file) for name, file in list_files(path).items()})
            return self._file(path)
        except OSError as error:
            raise UserError(f"cannot be read ({error.strerror})", where=str(path)) from None

    def _file(self, path: Path) -> str:
        state = path.stat()
        stamp = [state.st_size, state.st_mtime_ns, state.st_ino]
        name = str(path)
        known = self._known.get(name)
        if known is not None and known[:3] == stamp:
            return str(known[3])
        digest = file_digest(path)
        if time.time_ns() - state.st_mtime_ns > _SETTLED_NS:
            self._known[name] = [*stamp, digest]
            self._fresh = True
        return digest

    def save(self) -> None:
        """Writes what was learnt; losing it costs time only."""
        if self._fresh:
            write_atomically(self._memory, json.dumps(self._known, sort_keys=True))
            self._fresh = False
