"""Garbage collection: finds what no study needs any more, and moves it to a trash folder.

A record is garbage if the ledger itself says that a later run of its stage replaced it, nothing that landed names it,
and it is older than a given age. So whatever is missing from the ledger, or damaged in it, is a reason to keep. Records
and artifacts are listed before anything that refers to them is read, and nobody commits meanwhile.
"""

from __future__ import annotations

import re
import shutil
import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from xtreme_dag.core.home import Home
from xtreme_dag.core.locks import is_free, try_lock, unlock
from xtreme_dag.engine.digests import list_files
from xtreme_dag.engine.ledger import CACHED, DONE, Ledger
from xtreme_dag.engine.records import Record, is_hash
from xtreme_dag.engine.store import Store

_HASH = re.compile(rb"[0-9a-f]{64}")
_SWEPT_SECONDS = 86_400.0  # for which work that nobody is at is left alone


@dataclass(frozen=True, kw_only=True)
class Needed:
    """What refers to records and artifacts from outside the engine.

    Attributes:
        names: keys of records and digests of artifacts that are needed.
        studies: studies of which it is not known what they need: all that the ledger knows of them is kept.
        unreadable: what could not be read, in words.
    """

    names: frozenset[str] = frozenset()
    studies: frozenset[str] = frozenset()
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """What can be removed.

    Attributes:
        records: records that a later run replaced.
        artifacts: folders of artifacts that no other record refers to.
        work: folders of work that nobody has touched for long and nobody is at.
        locks: lock files that nobody has written for long; some may be held (see `locks.remove_free`).
        emptied: what an earlier collection left in the trash.
        size: bytes of artifacts.
        kept: what could not be read, or is not known, and what is kept for that reason.
    """

    records: tuple[Record, ...]
    artifacts: tuple[Path, ...]
    work: tuple[Path, ...]
    locks: tuple[Path, ...]
    emptied: tuple[Path, ...]
    size: int
    kept: tuple[str, ...]


def trash(home: Home) -> Path:
    """Where collections put what they remove; the next one empties it."""
    return home.root / "trash"


@contextmanager
def collection(home: Home, needed: Needed, age: float) -> Iterator[Garbage]:
    """Finds garbage, and keeps everybody from committing until it has been moved (see `move`) or left.

    Args:
        home: the home.
        needed: what refers to records and artifacts beside the ledger.
        age: seconds for which records, artifacts and work are kept in any case.
    """
    store = Store(home.store)
    with store.alone():
        young = time.time() - age
        files = list(store.record_files())
        folders = sorted((store.root / "objects").glob("*/*"))
        history = _History(Ledger(home.ledger))
        records = [record for _path, record in files if record is not None]
        recent = {record.key for path, record in files if record is not None and path.stat().st_mtime > young}
        live = history.live(needed.studies, {record.key for record in records}) | needed.names | recent
        live |= {
            str(entry.get("key"))
            for each in records
            if each.key in recent
            for entry in each.manifest["inputs"].values()
        }
        garbage = [record for record in records if record.key not in live and record.key in history.mentioned]
        unknown = sum(record.key not in live | history.mentioned for record in records)
        loose = {record.key for record in garbage}
        used = {record.digest for record in records if record.key not in loose} | needed.names
        unreadable = [path for path, record in files if record is None]
        replaced = {record.digest for record in garbage} - used
        artifacts = [
            folder
            for folder in folders
            if folder.name in replaced
            or (not unreadable and folder.name not in used and folder.lstat().st_mtime <= young)
        ]
        locks = [path for path in sorted((store.root / "locks").glob("*.lock")) if path.stat().st_mtime <= young]
        yield Garbage(
            records=tuple(garbage),
            artifacts=tuple(artifacts),
            work=tuple(path for path in sorted(home.work.glob("*")) if _is_abandoned(store, path, young)),
            locks=tuple(locks),
            emptied=tuple(sorted(trash(home).glob("*"))),
            size=sum(file.stat().st_size for folder in artifacts for file in list_files(folder).values()),
            kept=(
                *needed.unreadable,
                *history.trouble,
                *(f"{path} cannot be read: every artifact without a record is kept" for path in unreadable),
                *([f"{unknown} records that the ledger does not know are kept"] if unknown else []),
            ),
        )


def move(home: Home, garbage: Garbage) -> Path:
    """Moves garbage to a folder of the trash, in the layout of the home; call it inside of `collection`.

    Raises:
        OSError: something cannot be moved.
    """
    store, target = Store(home.store), trash(home) / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    places = [*(store.record_path(record.key) for record in garbage.records), *garbage.artifacts, *garbage.work]
    for path in places:
        if path in garbage.work and (handle := try_lock(store.lock_path(path.name), "gc")) is None:
            continue  # a run has taken it up meanwhile
        place = target / path.relative_to(home.root)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.move(path, place)  # the store may lie on another file system
        finally:
            if path in garbage.work and handle is not None:
                unlock(handle)
    return target


def sweep(home: Home) -> None:
    """Removes abandoned work that no stage can go on from; a run does so at its start.

    Checkpoints stay, with what else is in the scratch folder of a stage: a training that was killed goes on from them,
    be it weeks later. They are left to `gc`.
    """
    store, young = Store(home.store), time.time() - _SWEPT_SECONDS
    for path in sorted(home.work.glob("*")):
        with suppress(OSError):  # a disk that is full, a home that cannot be written: the run will say so
            if (handle := _abandoned(store, path, young)) is None:
                continue
            try:
                scratch = path / "scratch"
                kept = {scratch} if any(name != ".lock" for name in list_files(scratch)) else set()
                for each in set(path.iterdir()) - kept:
                    shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
                if not kept:
                    path.rmdir()
            finally:
                unlock(handle)


def _abandoned(store: Store, path: Path, young: float) -> int | None:
    """The lock of a work folder's key, if nobody holds it and nothing in the folder was touched lately, else None."""
    try:
        touched = max(each.lstat().st_mtime for each in (path, *list_files(path).values()))
    except OSError:
        return None
    if touched > young or not is_free(path / "scratch" / ".lock"):  # a worker may have outlived its run
        return None
    return try_lock(store.lock_path(path.name), "gc")


def _is_abandoned(store: Store, path: Path, young: float) -> bool:
    """Whether nobody holds the key of a work folder, and nothing in it was touched lately."""
    handle = _abandoned(store, path, young)
    if handle is not None:
        unlock(handle)
    return handle is not None


class _History:
    """What the ledger says of each stage of each study.

    Attributes:
        mentioned: all keys that it names.
        trouble: what of it cannot be read.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.mentioned: set[str] = set()
        self.trouble: list[str] = []
        self._keys: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._place: dict[tuple[str, str], int] = {}
        self._spared: set[str] = set()
        self._damaged = -1
        try:
            for place, (line, entry) in enumerate(ledger.lines()):
                self._add(place, line, entry)
        except OSError:
            self.mentioned.clear()  # nothing is known to be replaced
        if trouble := ledger.trouble():
            self.trouble.append(f"{trouble}; what they may refer to is kept")

    def _add(self, place: int, line: bytes, entry: dict[str, object] | None) -> None:
        if entry is None:
            self._damaged = place
            self._spared |= {match.decode() for match in _HASH.findall(line)}
        elif entry["outcome"] in (DONE, CACHED):
            stage = str(entry["study"]), str(entry["stage"])
            self._keys[stage].append(str(entry["key"]))
            self._place[stage] = place
            if is_hash(entry["key"]):
                self.mentioned.add(str(entry["key"]))

    def live(self, studies: Collection[str], there: Collection[str]) -> set[str]:
        """Keys that must stay.

        The last key of each stage of each study; and all keys of a stage whose last one is not a record (a byte of it
        may have changed), which a damaged line may speak of (none after it speaks of the stage), or whose study is
        among `studies`.
        """
        found = set(self._spared)
        for (study, stage), keys in self._keys.items():
            doubtful = keys[-1] not in there or self._place[study, stage] < self._damaged or study in studies
            found |= set(keys) if doubtful else {keys[-1]}
        return found
