"""The content-addressed store: artifacts by digest, and one record per key that points at them.

    objects/ab/<digest>/...     an artifact's files
    records/cd/<key>.json       the manifest of one execution: what it read, ran and wrote
    code/<digest>.json          a code fingerprint by name
    damaged/                    artifacts and records set aside, with the reason
    objects/../.dropped.json    names of files of this artifact that were dropped once they were read (`Store.drop`)
    locks/                      one per key; `store.lock` is shared by whoever adds, and held alone by garbage collection

A record appears by one rename after its artifact is complete and durable: half an artifact is never visible, and
committing twice is harmless. Two keys with the same content share an artifact.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import sync_folder, write_atomically
from xtreme_dag.core.locks import locked, try_lock, unlock
from xtreme_dag.engine.digests import file_digest, list_files, tree_digest
from xtreme_dag.engine.records import DROPPED as DROPPED
from xtreme_dag.engine.records import SCHEMA, checked_code, checked_record, is_within, record_text
from xtreme_dag.engine.records import Record as Record


class Store:
    """Artifacts and records under one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def artifact(self, digest: str) -> Path:
        """Folder of an artifact."""
        return self.root / "objects" / digest[:2] / digest

    def record_path(self, key: str) -> Path:
        """File of a record."""
        return self.root / "records" / key[:2] / f"{key}.json"

    def lock_path(self, key: str) -> Path:
        """Lock file of a key."""
        return self.root / "locks" / f"{key}.lock"

    def adding(self) -> AbstractContextManager[None]:
        """Holds off garbage collection while something is added; any number of processes may do so at once."""
        return locked(self.root / "locks" / "store.lock", "", shared=True)

    def alone(self) -> AbstractContextManager[None]:
        """Holds off everybody who would add something; for garbage collection."""
        return locked(self.root / "locks" / "store.lock", "garbage collection")

    def read(self, key: str) -> Record | None:
        """The record of a key, or None if there is none that can be read; the artifact is not looked at."""
        try:
            return checked_record(key, self.record_path(key).read_bytes())
        except (OSError, ValueError):
            return None

    def is_intact(self, record: Record) -> bool:
        """Whether every file of the artifact is there with its recorded size, and nobody suspects its content."""
        if record.suspect:
            return False
        folder = self.artifact(record.digest)
        try:
            states = {name: (folder / name).stat() for name in record.files}
        except OSError:
            return False
        return all(
            stat.S_ISREG(states[name].st_mode) and states[name].st_size == record.files[name][1] for name in states
        )

    def intact(self, key: str) -> Record | None:
        """The record of a key whose artifact is there in full, else None."""
        record = self.read(key)
        return record if record is not None and self.is_intact(record) else None

    def said(self, record: Record, name: str) -> dict[str, Any]:
        """What a JSON file of an artifact says, its bytes held against the record.

        Raises:
            UserError: it is gone or damaged.
        """
        path = self.artifact(record.digest) / name
        try:
            content = path.read_bytes()
        except OSError:
            content = b""
        if (hashlib.sha256(content).hexdigest(), len(content)) != record.files.get(name):
            raise UserError("is gone or damaged", where=str(path), fix="`xtreme-dag verify`, then run the study again")
        told: dict[str, Any] = json.loads(content)
        return told

    def dropped_files(self, record: Record) -> frozenset[str]:
        """Files of an artifact that were dropped on purpose, and may be missing."""
        try:
            names = json.loads((self.artifact(record.digest) / DROPPED).read_bytes())
        except (OSError, ValueError):
            return frozenset()
        return frozenset(names) & record.files.keys() if isinstance(names, list) else frozenset()

    def standing(self, key: str) -> Record | None:
        """The record of a key whose artifact is there, in full or but for files that were dropped on purpose."""
        record = self.read(key)
        return record if record is not None and (self.is_intact(record) or self.is_dropped(record)) else None

    def is_dropped(self, record: Record, part: str = "") -> bool:
        """Whether files of a part of an artifact were dropped, and the artifact's others are there in their sizes."""
        if record.suspect or not (dropped := self.dropped_files(record)):
            return False
        folder = self.artifact(record.digest)
        kept = {name: folder / name for name in record.files if name not in dropped}
        return any(not (folder / name).is_file() for name in dropped if is_within(name, part)) and all(
            path.is_file() and path.stat().st_size == record.files[name][1] for name, path in kept.items()
        )

    def drop(self, record: Record, names: Iterable[str]) -> int:
        """Removes files of an artifact; its record stays, and says what they were. Returns how many bytes that freed.

        That they were dropped is written first, so an interruption leaves no artifact that looks damaged. Nothing is
        done while somebody reads the artifact (`reading`).
        """
        folder, names = self.artifact(record.digest), sorted(names)
        handle = try_lock(self._use_lock(record.digest), "drop")
        if handle is None:
            return 0
        try:
            with self.adding():
                write_atomically(folder / DROPPED, json.dumps(names))
                sync_folder(folder)
                freed = 0
                for path in (folder / name for name in names):
                    if path.is_file():
                        freed += path.stat().st_size
                        path.unlink()
                return freed
        finally:
            unlock(handle)

    @contextmanager
    def reading(self, *digests: str) -> Iterator[None]:
        """Keeps files of artifacts from being dropped; any number of processes may do so at once."""
        with ExitStack() as held:
            for digest in digests:
                held.enter_context(locked(self._use_lock(digest), "", shared=True))
            yield

    def _use_lock(self, digest: str) -> Path:
        return self.root / "locks" / f"{digest}.use.lock"

    def damaged_files(
        self, record: Record, part: str = "", digest_of: Callable[[Path], str] = file_digest
    ) -> list[str]:
        """Files of an artifact that are missing, whose bytes are not those recorded, or that no stage wrote there.

        Files that were dropped on purpose may be missing.

        Args:
            record: of the artifact.
            part: look at this part alone.
            digest_of: sha256 of a file; by default computed from its bytes.
        """
        folder = self.artifact(record.digest)
        bad, dropped = [], self.dropped_files(record)
        for name, (digest, size) in record.files_of(part).items():
            path = folder / name
            if name in dropped and not path.exists():
                continue
            try:
                if path.stat().st_size != size or digest_of(path) != digest:
                    bad.append(name)
            except OSError:
                bad.append(name)
        # Hidden files are those of file managers and network file systems.
        there = (name for name in list_files(folder) if not Path(name).name.startswith("."))
        return [*bad, *(name for name in there if name not in record.files and is_within(name, part))]

    def record_files(self) -> Iterator[tuple[Path, Record | None]]:
        """The file of each record, and the record in it: None if it cannot be read."""
        for path in sorted((self.root / "records").glob("*/*.json")):
            yield path, self.read(path.stem) if path == self.record_path(path.stem) else None

    def records(self) -> Iterator[Record]:
        """All readable records."""
        return (record for _path, record in self.record_files() if record is not None)

    def code(self, digest: str) -> Mapping[str, Sequence[str]]:
        """A code fingerprint (see `fingerprint.Fingerprint`); empty if it is not known here."""
        try:
            return checked_code(digest, (self.root / "code" / f"{digest}.json").read_bytes())
        except (OSError, ValueError):
            return {}

    def keep_code(self, digest: str, names: Mapping[str, Sequence[str]]) -> None:
        """Remembers a fingerprint, so that a later plan can say which name changed."""
        if not self.code(digest):
            write_atomically(self.root / "code" / f"{digest}.json", json.dumps(dict(names), indent=0))

    def commit(self, key: str, out: Path, manifest: Mapping[str, Any]) -> Record:
        """Makes the content of `out` the artifact of `key`; `out` is gone afterwards.

        Raises:
            OSError: the disk is full or the store cannot be written; nothing is visible then.
            UserError: `out` has no files, of which no record can be made (see `records.checked_files`).
        """
        files: dict[str, tuple[str, int]] = {}
        for name, path in list_files(out).items():
            with path.open("rb") as file:
                os.fsync(file.fileno())
            files[name] = file_digest(path), path.stat().st_size
        if not files:
            raise UserError("wrote no file", where=str(manifest["name"]), fix="write its artifact into context.out")
        digest = tree_digest(files)
        whole = {
            "schema": SCHEMA,
            "key": key,
            "digest": digest,
            "files": {n: list(f) for n, f in files.items()},
            **manifest,
        }
        record = Record(key=key, digest=digest, files=files, manifest=whole)
        target = self.artifact(digest)
        with self.adding():
            if target.exists() and (bad := self.damaged_files(record)):
                self.set_aside(
                    digest, f"{', '.join(bad)} not as recorded, found when {record.name} was committed again"
                )
            if target.exists():
                self._restore(record, out)
            self._place(out, target)
            self._write_record(record)
        return record

    def commit_part(self, record: Record, out: Path) -> Record:
        """Makes some files of a record's artifact stand for it, the others count as dropped; `out` is gone afterwards.

        An artifact that is here already, in full or in part, stays as it is.

        Args:
            record: of the artifact; its digest is that of all its files.
            out: a folder with those that are to be here, as the record describes them.

        Raises:
            OSError: the disk is full or the store cannot be written; nothing is visible then.
        """
        target = self.artifact(record.digest)
        write_atomically(out / DROPPED, json.dumps([name for name in record.files if not (out / name).is_file()]))
        for path in (path for path in out.rglob("*") if path.is_file()):
            with path.open("rb") as file:
                os.fsync(file.fileno())
        with self.adding():
            self._place(out, target)
            self._write_record(record)
        return record

    @staticmethod
    def _place(out: Path, target: Path) -> None:
        """Moves a folder to its place; one that is there already stays, and `out` is gone."""
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            shutil.rmtree(out)
            return
        try:
            out.rename(target)
        except OSError:
            if not target.exists():
                raise
            shutil.rmtree(out)
        sync_folder(target.parent)

    def _restore(self, record: Record, out: Path) -> None:
        """Puts dropped files of an artifact back, out of a folder with all of it."""
        folder = self.artifact(record.digest)
        for name in self.dropped_files(record):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).replace(folder / name)
        (folder / DROPPED).unlink(missing_ok=True)

    def _write_record(self, record: Record) -> None:
        path = self.record_path(record.key)
        write_atomically(path, record_text(record.manifest))
        sync_folder(path.parent)

    def accept(self, key: str, earlier: Record, changes: Mapping[str, Any]) -> Record:
        """Lets an earlier artifact stand under a new key, with the changed manifest fields."""
        manifest = {**earlier.manifest, **changes, "key": key}
        record = Record(key=key, digest=earlier.digest, files=earlier.files, manifest=manifest)
        with self.adding():
            self._write_record(record)
        return record

    def set_aside(self, digest: str, reason: str) -> Path | None:
        """Moves a damaged artifact out of the way; its keys then count as damaged and run again."""
        return self._move_aside(self.artifact(digest), reason)

    def set_record_aside(self, path: Path) -> Path | None:
        """Moves the file of a record that cannot be read out of the way."""
        return self._move_aside(path, f"this record of {path.stem} cannot be read")

    def _move_aside(self, source: Path, reason: str) -> Path | None:
        base = self.root / "damaged" / source.name
        target, count = base, 0
        while target.exists():
            count += 1
            target = base.with_name(f"{source.name}.{count}")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.rename(target)
        except FileNotFoundError:
            return None
        write_atomically(target.with_name(target.name + ".txt"), reason + "\n")
        return target
