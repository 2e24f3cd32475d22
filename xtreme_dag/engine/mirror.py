"""A mirror of the store at an fsspec URL (`s3://`, `gs://`, a shared folder): hits are pulled, commits pushed.

The mirror has the layout of the store. Nothing of it is believed: records are checked (`engine.records`) and files are
hashed before they count. A record is pushed after all that it names, and pushing twice is harmless: so no lock spans
machines, and half an upload is a miss. A mirror that is damaged or cannot be reached costs a warning, never a run.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.urls import without_password
from xtreme_dag.engine.digests import file_digest
from xtreme_dag.engine.records import MAX_JSON_BYTES, Record, checked_code, checked_record, is_hash
from xtreme_dag.engine.signatures import Refused, opened, secret, signed
from xtreme_dag.engine.store import Store

VARIABLE = "XTREME_DAG_MIRROR"
_BUCKETS = frozenset({"s3", "gs", "gcs", "abfs", "az", "oci", "oss"})


class Mirror:
    """A store elsewhere.

    Args:
        url: what fsspec can open: `s3://bucket/folder`, `gs://...`, `file:///shared/folder` or a path.

    Raises:
        UserError: fsspec does not know the URL, or lacks the package for it; or the secret of signatures is too short.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = without_password(url)
        secret()  # one that will not do is said before anything is trusted
        self._guard = threading.Lock()
        self._keys: set[str] | None = None
        self._damaged: set[str] = set()
        self._down = False
        self.trouble = ""
        try:
            self._files, self._root = fsspec.core.url_to_fs(url, skip_instance_cache=True, use_listings_cache=False)
            protocols = self._files.protocol
            # They have no folders, and asked for one they would make a bucket of a mistyped name.
            self._buckets = bool(_BUCKETS & {protocols if isinstance(protocols, str) else protocols[0]})
        except ImportError as error:
            raise UserError(str(error), where=f"mirror {self.url}", fix="for s3:// install xtreme-dag[s3]") from None
        except (ValueError, OSError) as error:  # some protocols connect at once
            raise UserError(str(error), where=f"mirror {self.url}") from None

    @classmethod
    def find(cls, given: str | None = None) -> Mirror | None:
        """The mirror that `--mirror` or the environment names, in that order; None without one."""
        url = given or os.environ.get(VARIABLE)
        return cls(url) if url else None

    def known(self) -> set[str]:
        """Keys of all records that are there: one listing a run, later what this run pushed too."""
        with self._guard:
            if self._keys is None:
                found = self._try(lambda: self._files.find(f"{self._root}/records", detail=True), missing={})
                names = {Path(path).name: entry for path, entry in found.items()}
                self._keys = {
                    name.removesuffix(".json")
                    for name, entry in names.items()
                    if name.endswith(".json")
                    and is_hash(name.removesuffix(".json"))
                    and _is_plain(entry, MAX_JSON_BYTES)
                }
            return self._keys

    def read(self, key: str) -> Record | None:
        """The record of a key, or None if the mirror has none that holds together (`trouble` then says why)."""
        if key not in self.known() or key in self._damaged:
            return None
        content = self._try(lambda: self._files.cat_file(f"{self._root}/records/{key[:2]}/{key}.json"), missing=None)
        if content is None:
            return None
        try:
            return checked_record(key, opened(content))
        except Refused as error:
            self.distrust(key, f"record {key[:16]} is refused: {error}")
            return None
        except ValueError as error:
            self.distrust(key, f"record {key[:16]} is damaged there: {error}")
            return None

    def distrust(self, key: str, why: str) -> None:
        """Remembers that what the mirror has of a key is of no use; it is pushed anew when it was made here."""
        self._damaged.add(key)
        self.trouble = self.trouble or why

    def pull(self, key: str, store: Store, work: Path) -> Record | None:
        """Brings the artifact of a key into the store.

        Args:
            key: of the stage.
            store: where to.
            work: a folder for the transfer, made and removed; on the store's file system.

        Returns:
            The new local record; None if the mirror lacks it, or what it has is damaged (`trouble` says so).
        """
        record = self.read(key)
        if record is None:
            return None
        source = f"{self._root}/objects/{record.digest[:2]}/{record.digest}"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            for name, (digest, size) in record.files.items():
                if not self._fetch(f"{source}/{name}", work / name, digest, size):
                    self.distrust(key, f"{name} of {record.manifest['name']} is damaged there")
                    return None
            self._fetch_code(record.manifest["code"], store)
            manifest = {name: value for name, value in record.manifest.items() if name not in ("files", "digest")}
            return store.commit(key, work, manifest)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _fetch(self, source: str, target: Path, digest: str, size: int) -> bool:
        """Brings one file; whether it is what its record says. Nothing is transferred that has another size."""
        entry = self._try(lambda: self._files.info(source), missing=None)
        if entry is None or not _is_plain(entry, size) or entry["size"] != size:
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        self._try(lambda: self._files.get_file(source, str(target)), missing=None)
        return target.is_file() and target.stat().st_size == size and file_digest(target) == digest

    def _fetch_code(self, digest: str, store: Store) -> None:
        """Brings a code fingerprint, without which a later plan says less; one that is damaged is left there."""
        path = f"{self._root}/code/{digest}.json"
        entry = self._try(lambda: self._files.info(path), missing=None)
        if entry is None:
            return
        try:
            if not _is_plain(entry, MAX_JSON_BYTES):
                raise ValueError("it is too large, or no file")
            content = self._try(lambda: self._files.cat_file(path), missing=None)
            if content is not None:
                store.keep_code(digest, checked_code(digest, content))
        except ValueError as error:
            self.trouble = self.trouble or f"code {digest[:16]} is damaged there: {error}"

    def push(self, store: Store, record: Record) -> None:
        """Copies a record and what it names to the mirror, unless it is there."""
        if record.key in self.known() and record.key not in self._damaged:
            return
        code = str(record.manifest.get("code", ""))
        done = self._try(lambda: self._send(store, record, code), missing=False)
        if done:
            with self._guard:
                self._damaged.discard(record.key)
                assert self._keys is not None
                self._keys.add(record.key)

    def push_all(self, store: Store, keys: Iterable[str]) -> int:
        """Pushes those records that the mirror lacks; returns how many arrived."""
        missing = [key for key in keys if key not in self.known()]
        for key in missing:
            record = store.intact(key)
            if record is not None:
                self.push(store, record)
        return sum(key in self.known() for key in missing)

    def _send(self, store: Store, record: Record, code: str) -> bool:
        folder = store.artifact(record.digest)
        place = f"{self._root}/objects/{record.digest[:2]}/{record.digest}"
        overwrite = record.key in self._damaged
        for name, (_digest, size) in record.files.items():
            target = f"{place}/{name}"
            if overwrite or not self._files.exists(target) or self._files.info(target)["size"] != size:
                self._put(folder / name, target)
        names = store.root / "code" / f"{code}.json"
        if names.is_file():
            self._put(names, f"{self._root}/code/{code}.json")
        target = f"{self._root}/records/{record.key[:2]}/{record.key}.json"
        # The first machine to come has the key: another may have made other bytes under it since the listing.
        if overwrite or not self._files.exists(target):
            self._make_folder(target)
            self._files.pipe_file(target, signed(store.record_path(record.key).read_bytes()))
        return True

    def _make_folder(self, target: str) -> None:
        if not self._buckets:
            self._files.makedirs(target.rsplit("/", 1)[0], exist_ok=True)

    def _put(self, source: Path, target: str) -> None:
        self._make_folder(target)
        self._files.put_file(str(source), target)

    def _try(self, work: Callable[[], Any], *, missing: Any) -> Any:
        """What `work` returns; `missing` where there is no such file or the mirror cannot be reached.

        After the first failure the mirror is left alone: a run must not wait for a time limit at every stage. The next
        run pushes what this one could not.
        """
        if self._down:
            return missing
        try:
            return work()
        except FileNotFoundError:
            return missing
        except Exception as error:  # each protocol's client has errors of its own, and none may stop a run
            self._down = True
            self.trouble = f"{type(error).__name__}: {' '.join(str(error).split())}"
            return missing


def _is_plain(entry: Mapping[str, Any], most: int) -> bool:
    """Whether what a listing says is a file of at most so many bytes, and no link."""
    size = entry.get("size")
    return entry.get("type") == "file" and not entry.get("islink") and isinstance(size, int) and size <= most
