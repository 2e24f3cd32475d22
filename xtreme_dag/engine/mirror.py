"""A mirror of the store at an fsspec URL (`s3://`, `gs://`, a shared folder): hits are pulled, commits pushed.

The mirror has the layout of the store, and four folders more: `packs/`, copies of many records in one file, so that
thousands of them are read at once; `claims/` and `checkpoints/` (see `engine.claims`, `engine.checkpoints`). Nothing of
it is believed: records are checked (`engine.records`) and files are hashed before they count. A record is pushed after
all that it names, and pushing twice is harmless: so no lock spans machines, and half an upload is a miss. A mirror that
is damaged or cannot be reached costs a warning, never a run; but where several machines work at one study, artifacts
go through it, and a run has patience with it.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

from xtreme_dag.core.urls import has_password, without_password
from xtreme_dag.engine.digests import file_digest
from xtreme_dag.engine.records import MAX_JSON_BYTES, Record, checked_code, checked_record, is_hash
from xtreme_dag.engine.remote import Remote, is_plain, stamp
from xtreme_dag.engine.signatures import Refused, opened, secret, signed
from xtreme_dag.engine.store import Store

VARIABLE = "XTREME_DAG_MIRROR"
# Seconds for which a call is tried again: of a run that can do without, and of one whose artifacts go through it.
BRIEFLY, LONG = 3.0, 900.0
_MAX_PACK_BYTES = 1 << 30
_SMALL_BYTES = 1 << 20
_MANY = 200  # records that are worth a pack
_MOST_PACKS = 16


class Mirror:
    """A store elsewhere.

    Args:
        url, patience: see `Remote`.
        listing: list all records once. Without, each is asked for when it is needed: other machines push meanwhile.

    Attributes:
        url: as it may be shown.
        plain: as it may be handed on; empty if it names a password.
        files: what lies there.
        refused: keys of records that are not signed as they have to be.

    Raises:
        UserError: as `Remote`; or the secret of signatures is too short.
    """

    def __init__(self, url: str, patience: float = BRIEFLY, *, listing: bool = True) -> None:
        self.url = without_password(url)
        self.plain = "" if has_password(url) else url
        secret()  # one that will not do is said before anything is trusted
        self.refused: set[str] = set()
        self._listing = listing
        self.files = Remote(url, patience)
        self._guard = threading.Lock()
        self._keys: dict[str, list[Any]] | None = None
        self._packed: dict[str, bytes] = {}
        self._packs: list[str] = []
        self._damaged: set[str] = set()
        self._found = ""
        self._sent: dict[str, str] = {}  # key -> digest, of records that this process has written there
        self._codes: set[str] = set()

    @classmethod
    def find(cls, given: str | None = None, patience: float = BRIEFLY, *, listing: bool = True) -> Mirror | None:
        """The mirror that `--mirror` or the environment names, in that order; None without one."""
        url = given or os.environ.get(VARIABLE)
        return cls(url, patience, listing=listing) if url else None

    @property
    def trouble(self) -> str:
        """What went wrong with the mirror; empty if nothing did."""
        return self.files.trouble or self._found

    def known(self) -> Mapping[str, list[Any]]:
        """Key -> stamp of all records that are there: one listing a run, later what this run pushed too."""
        with self._guard:
            if self._keys is None:
                self._keys = {
                    name: stamp(entry)
                    for path, entry in self.files.listing("records", many=True).items()
                    if path.endswith(".json")
                    and is_hash(name := path.rpartition("/")[2].removesuffix(".json"))
                    and is_plain(entry, MAX_JSON_BYTES)
                }
                if len(self._keys) > 1:
                    self._unpack(self._keys)
            return self._keys

    def has(self, key: str) -> bool:
        """Whether the mirror has a record of a key."""
        return key in self.known() if self._listing else self.look(key) is not None

    def read(self, key: str) -> Record | None:
        """The record of a key, or None if the mirror has none that holds together (`trouble` then says why)."""
        return self.look(key) if key in self.known() else None

    def look(self, key: str) -> Record | None:
        """As `read`, without a listing: what another machine has pushed since is found, too."""
        if key in self._damaged:
            return None
        content = self._content(key)
        return None if content is None else self._checked(key, content)

    def _checked(self, key: str, content: bytes) -> Record | None:
        """The record in a file of a mirror, or None: it does not hold together, or is not signed as it has to be."""
        try:
            return checked_record(key, opened(content))
        except Refused as error:
            self.refused.add(key)
            self.distrust(key, f"record {key[:16]} is refused: {error}")
            return None
        except ValueError as error:
            self.distrust(key, f"record {key[:16]} is damaged there: {error}")
            return None

    def _content(self, key: str) -> bytes | None:
        """A record's file as it is there, its signature included."""
        return self._packed.get(key) or self.files.read(record_path(key), MAX_JSON_BYTES)

    def has_sent(self, record: Record) -> bool:
        """Whether this process has written a record there."""
        return self._sent.get(record.key) == record.digest and record.key not in self._damaged

    def read_all(self, keys: Iterable[str]) -> dict[str, Record]:
        """Key -> record, of those of some keys that the mirror has; many at once."""
        wanted = [key for key in keys if key in self.known()]
        found = self.files.each(self.look, wanted)
        return {record.key: record for record in found if record is not None}

    def distrust(self, key: str, why: str) -> None:
        """Remembers that what the mirror has of a key is of no use; it is pushed anew when it was made here."""
        self._damaged.add(key)
        self._found = self._found or why

    def trust(self, key: str) -> None:
        """Forgets what was found of a key: another machine says that it has written it since."""
        self._damaged.discard(key)
        self.refused.discard(key)
        self._packed.pop(key, None)

    def pull(self, key: str, store: Store, work: Path, of: Callable[[str], bool] = lambda name: True) -> Record | None:
        """Brings the artifact of a key into the store.

        Args:
            key: of the stage.
            store: where to.
            work: a folder for the transfer; on the store's file system. What is there of a transfer that was broken
                off is not brought again.
            of: which files to bring; the others then count as dropped there (`Store.drop`).

        Returns:
            The new local record; None if the mirror lacks it, or what it has is damaged (`trouble` says so).
        """
        record = self.look(key)
        if record is None:
            return None
        folder = work / record.digest
        folder.mkdir(parents=True, exist_ok=True)
        source = f"objects/{record.digest[:2]}/{record.digest}"

        def bring(name: str) -> bool:
            digest, size = record.files[name]
            target = folder / name
            if target.is_file() and target.stat().st_size == size and file_digest(target) == digest:
                return True
            return self.files.get(f"{source}/{name}", target, size) and file_digest(target) == digest

        wanted = [name for name in record.files if of(name)]
        for name, whole in zip(wanted, self.files.each(bring, wanted), strict=True):
            if not whole:
                if not self.files.trouble:
                    shutil.rmtree(work, ignore_errors=True)
                    self.distrust(key, f"{name} of {record.manifest['name']} is damaged there")
                return None
        self._fetch_code(record.manifest["code"], store)
        if len(wanted) < len(record.files):
            pulled = store.commit_part(record, folder)
        else:
            manifest = {name: value for name, value in record.manifest.items() if name not in ("files", "digest")}
            pulled = store.commit(key, folder, manifest)
        shutil.rmtree(work, ignore_errors=True)
        return pulled

    def _fetch_code(self, digest: str, store: Store) -> None:
        """Brings a code fingerprint, without which a later plan says less; one that is damaged is left there."""
        if store.code(digest):
            return
        content = self.files.read(f"code/{digest}.json", MAX_JSON_BYTES)
        if content is None:
            return
        try:
            store.keep_code(digest, checked_code(digest, content))
        except ValueError as error:
            self._found = self._found or f"code {digest[:16]} is damaged there: {error}"

    def push(self, store: Store, record: Record) -> bool:
        """Copies a record and what it names to the mirror, unless it is there; whether it is there now.

        Without a listing, whoever calls has just looked.
        """
        if record.key not in self._damaged and self._listing and record.key in self.known():
            return True
        return self.send(store, record)

    def send(self, store: Store, record: Record) -> bool:
        """As `push`, whatever a listing said; what is there and not distrusted stays."""
        folder = store.artifact(record.digest)
        place = f"objects/{record.digest[:2]}/{record.digest}"
        overwrite = record.key in self._damaged

        def put(name: str) -> bool:
            target = f"{place}/{name}"
            size = record.files[name][1]
            # Of a small file, to ask whether it is there takes as long as to write it.
            entry = None if overwrite or size < _SMALL_BYTES else self.files.info(target)
            return (entry is not None and entry.get("size") == size) or self.files.put(folder / name, target)

        if not all(self.files.each(put, record.files)):
            return False
        code = str(record.manifest.get("code", ""))
        names = store.root / "code" / f"{code}.json"
        if code not in self._codes and names.is_file():
            if not self.files.put(names, f"code/{code}.json"):
                return False
            self._codes.add(code)
        target = record_path(record.key)
        # The first machine to come has the key: another may have made other bytes under it since anybody looked.
        if overwrite or self.files.info(target) is None:
            if not self.files.write(target, signed(store.record_path(record.key).read_bytes())):
                return False
            self._sent[record.key] = record.digest
        with self._guard:
            self._damaged.discard(record.key)
            self.refused.discard(record.key)
            self._packed.pop(record.key, None)
            if self._keys is not None:
                self._keys[record.key] = []
        return True

    def push_all(self, store: Store, keys: Iterable[str]) -> int:
        """Pushes those records that the mirror lacks; returns how many arrived."""
        missing = [key for key in dict.fromkeys(keys) if key not in self.known() or key in self._damaged]
        records = [record for key in missing if (record := store.intact(key)) is not None]
        return sum(self.files.each(lambda record: self.push(store, record), records))

    def pack(self) -> int:
        """Puts copies of records that no pack has into a new one, if they are many; returns how many."""
        if self._loose() < _MANY:
            return 0
        with self._guard:
            self._keys = None  # what this run and others pushed has stamps now
            self._packed, self._packs = {}, []
        keys = self.known()
        loose = [key for key in keys if key not in self._packed]
        old = self._packs if len(self._packs) >= _MOST_PACKS else []
        wanted = list(keys) if old else loose
        buffer = BytesIO()
        count = 0
        with gzip.open(buffer, "wt", encoding="utf-8") as file:
            for key, content in zip(wanted, self.files.each(self._content, wanted), strict=True):
                if content is not None and self._checked(key, content) is not None:
                    file.write(json.dumps({"key": key, "stamp": keys[key], "record": json.loads(content)}) + "\n")
                    count += 1
        if self.files.write(f"packs/{uuid4().hex}.jsonl.gz", buffer.getvalue()):
            self.files.remove(f"packs/{name}" for name in old)
        return count

    def _loose(self) -> int:
        """How many records no pack has, as far as this run has seen."""
        return sum(key not in self._packed for key in self.known())

    def _unpack(self, keys: Mapping[str, list[Any]]) -> None:
        """Reads the packs. A copy counts only while the record itself is as it was when it was copied."""
        self._packs = sorted(name for name in self.files.listing("packs") if name.endswith(".jsonl.gz"))
        for content in self.files.each(lambda name: self.files.read(f"packs/{name}", _MAX_PACK_BYTES), self._packs):
            for entry in _entries(content or b""):
                key = entry.get("key")
                if isinstance(key, str) and keys.get(key) == entry.get("stamp"):
                    self._packed[key] = json.dumps(entry.get("record")).encode()


def record_path(key: str) -> str:
    """Where a mirror has the record of a key."""
    return f"records/{key[:2]}/{key}.json"


def _entries(content: bytes) -> Iterator[dict[str, Any]]:
    """What is in a pack; nothing after what cannot be read."""
    try:
        with gzip.open(BytesIO(content), "rb") as file:
            total = 0
            while line := file.readline(MAX_JSON_BYTES):
                total += len(line)
                entry = json.loads(line)
                if total > _MAX_PACK_BYTES or not isinstance(entry, dict):
                    return
                yield entry
    except (OSError, EOFError, ValueError, RecursionError):
        return
