"""The content-addressed store: artifacts by digest, and one record per key that points at them.

    objects/ab/<digest>/...     an artifact's files
    records/cd/<key>.json       the manifest of one execution: what it read, ran and wrote
    code/<digest>.json          a code fingerprint by name
    damaged/                    artifacts set aside, with the reason

A record appears by one rename after its artifact is complete and durable: half an artifact is never visible, and
committing twice is harmless. Two keys with the same content share an artifact.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xtreme_dag.core.files import sha256_of, sync_folder, write_atomically
from xtreme_dag.engine.digests import file_digest, list_files, tree_digest

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Record:
    """The manifest of one committed stage.

    Attributes:
        key: the stage's key.
        digest: digest of the artifact.
        files: relative path -> (sha256, size in bytes).
        manifest: the whole manifest, as in the JSON file.
    """

    key: str
    digest: str
    files: Mapping[str, tuple[str, int]]
    manifest: Mapping[str, Any]

    @property
    def seconds(self) -> float:
        """How long the execution took."""
        return float(self.manifest.get("seconds", 0.0))

    def part_digest(self, part: str) -> str | None:
        """Digest of one file or folder inside the artifact; None if there is none."""
        if not part:
            return self.digest
        if part in self.files:
            return self.files[part][0]
        inside = {name: self.files[name][0] for name in self.files if name.startswith(part + "/")}
        return sha256_of(inside) if inside else None


def record_of(key: str, content: bytes) -> Record | None:
    """The record in a file's content, or None if it is not one."""
    try:
        manifest = json.loads(content)
        files = {name: (entry[0], entry[1]) for name, entry in manifest["files"].items()}
        return Record(key=key, digest=manifest["digest"], files=files, manifest=manifest)
    except (ValueError, KeyError, IndexError, TypeError):
        return None


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

    def read(self, key: str) -> Record | None:
        """The record of a key, or None if there is none that can be read; the artifact is not looked at."""
        try:
            return record_of(key, self.record_path(key).read_bytes())
        except OSError:
            return None

    def is_intact(self, record: Record) -> bool:
        """Whether every file of the artifact is there with its recorded size, and the record names its content."""
        folder = self.artifact(record.digest)
        try:
            return tree_digest(dict(record.files)) == record.digest and all(
                (folder / name).stat().st_size == size for name, (_digest, size) in record.files.items()
            )
        except OSError:
            return False

    def intact(self, key: str) -> Record | None:
        """The record of a key whose artifact is there in full, else None."""
        record = self.read(key)
        return record if record is not None and self.is_intact(record) else None

    def damaged_files(self, record: Record) -> list[str]:
        """Files of an artifact that are missing or whose bytes are not those recorded (re-hashed)."""
        folder = self.artifact(record.digest)
        bad = []
        for name, (digest, size) in record.files.items():
            path = folder / name
            try:
                if path.stat().st_size != size or file_digest(path) != digest:
                    bad.append(name)
            except OSError:
                bad.append(name)
        return bad

    def records(self) -> Iterator[Record]:
        """All readable records."""
        for path in sorted((self.root / "records").glob("*/*.json")):
            record = self.read(path.stem)
            if record is not None:
                yield record

    def code(self, digest: str) -> Mapping[str, Sequence[str]]:
        """A code fingerprint (see `fingerprint.Fingerprint`); empty if it is not known here."""
        try:
            names: dict[str, list[str]] = json.loads((self.root / "code" / f"{digest}.json").read_bytes())
            return names
        except (OSError, ValueError):
            return {}

    def keep_code(self, digest: str, names: Mapping[str, Sequence[str]]) -> None:
        """Remembers a fingerprint, so that a later plan can say which name changed."""
        path = self.root / "code" / f"{digest}.json"
        if not path.exists():
            write_atomically(path, json.dumps(dict(names), indent=0))

    def commit(self, key: str, out: Path, manifest: Mapping[str, Any]) -> Record:
        """Makes the content of `out` the artifact of `key`; `out` is gone afterwards.

        Raises:
            OSError: the disk is full or the store cannot be written; nothing is visible then.
        """
        files: dict[str, tuple[str, int]] = {}
        for name, path in list_files(out).items():
            with path.open("rb") as file:
                os.fsync(file.fileno())
            files[name] = file_digest(path), path.stat().st_size
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
        if target.exists() and self.damaged_files(record):
            self.set_aside(digest, f"damaged, found when {key} was committed again")
        if target.exists():
            shutil.rmtree(out)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                out.rename(target)
            except OSError:
                if not target.exists():
                    raise
                shutil.rmtree(out)
            sync_folder(target.parent)
        self._write_record(record)
        return record

    def _write_record(self, record: Record) -> None:
        path = self.record_path(record.key)
        write_atomically(path, json.dumps(record.manifest, indent=1, ensure_ascii=False))
        sync_folder(path.parent)

    def accept(self, key: str, earlier: Record, changes: Mapping[str, Any]) -> Record:
        """Lets an earlier artifact stand under a new key, with the changed manifest fields."""
        manifest = {**earlier.manifest, **changes, "key": key}
        record = Record(key=key, digest=earlier.digest, files=earlier.files, manifest=manifest)
        self._write_record(record)
        return record

    def set_aside(self, digest: str, reason: str) -> Path | None:
        """Moves a damaged artifact out of the way; its keys then count as damaged and run again."""
        source = self.artifact(digest)
        if not source.exists():
            return None
        base = self.root / "damaged" / digest
        target, count = base, 0
        while target.exists():
            count += 1
            target = base.with_name(f"{digest}.{count}")
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
        write_atomically(target.with_name(target.name + ".txt"), reason + "\n")
        return target

    def forget(self, key: str) -> None:
        """Removes a record; the artifact stays until it is collected."""
        self.record_path(key).unlink(missing_ok=True)

    def unreferenced(self, keys: set[str]) -> tuple[list[Record], list[tuple[str, int]]]:
        """Records outside `keys`, and artifacts (digest, bytes) that only they use or nobody does."""
        kept: set[str] = set()
        loose = []
        for record in self.records():
            if record.key in keys:
                kept.add(record.digest)
            else:
                loose.append(record)
        objects = []
        for path in sorted((self.root / "objects").glob("*/*")):
            if path.name not in kept:
                objects.append((path.name, sum(file.stat().st_size for file in list_files(path).values())))
        return loose, objects

    def remove_artifact(self, digest: str) -> None:
        """Deletes an artifact."""
        shutil.rmtree(self.artifact(digest), ignore_errors=True)
