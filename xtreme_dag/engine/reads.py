"""Checks what is read from the store against its record before it is used: bytes that changed must not become results."""

from __future__ import annotations

from pathlib import Path

from xtreme_dag.engine.digests import FileDigests
from xtreme_dag.engine.store import Record, Store


class DamagedInput(Exception):
    """What a stage reads of another stage's artifact is not what its record says.

    Attributes:
        stage: name of the stage that made it.
        record: its record.
        part: the part of the artifact that was to be read.
    """

    def __init__(self, stage: str, record: Record, part: str) -> None:
        super().__init__(stage)
        self.stage = stage
        self.record = record
        self.part = part


class Reads:
    """Hashes the files of artifacts when they are first read, and again only when a file's state has changed.

    A file whose bytes change while its size, times and inode stay (a failing disk) is found by `xtreme-dag verify`.
    """

    def __init__(self, store: Store, caches: Path) -> None:
        self._store = store
        # Nothing changes in the store after its commit, so a digest holds from the first moment on.
        self._digests = FileDigests(caches / "reads.json", settled_ns=0)

    def damaged(self, record: Record, part: str = "") -> list[str]:
        """Files of a part of an artifact that are not as its record says; hashes what is not remembered."""
        return self._store.damaged_files(record, part, lambda path: self._digests.file(path).digest)

    def hashed(self, record: Record, part: str = "") -> float:
        """When the bytes of a part were hashed in their present state: of its files, the one longest ago.

        Raises:
            OSError: a file is gone.
        """
        folder = self._store.artifact(record.digest)
        return min((self._digests.file(folder / name).time for name in record.files_of(part)), default=0.0)

    def remember(self, record: Record) -> None:
        """Takes over the digests of an artifact that has just been committed.

        Raises:
            OSError: a file is gone.
        """
        for name, (digest, _size) in record.files.items():
            self._digests.remember(self._store.artifact(record.digest) / name, digest)

    def save(self) -> None:
        """Writes what was learnt, for the next process."""
        self._digests.save()
