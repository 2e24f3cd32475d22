"""Looks after a mirror: finds what is damaged in it, and what nobody has needed for long."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from xtreme_dag.engine.mirror import Mirror, record_path
from xtreme_dag.engine.records import Record
from xtreme_dag.engine.remote import written
from xtreme_dag.engine.store import Store

_SHORT_SECONDS = 3600.0  # a claim that is older has nobody


@dataclass(frozen=True, kw_only=True)
class Damaged:
    """A record of a mirror that is of no use.

    Attributes:
        key: of the record.
        name: of its stage; empty if it cannot be read.
        files: paths in the mirror that are not as they should be: of the artifact, or of the record itself.
        mended: whether this home had it and has pushed it anew.
        refused: whether it is only not signed as it has to be; then it stays there unless it was mended.
    """

    key: str
    name: str
    files: tuple[str, ...]
    mended: bool
    refused: bool = False


def verify(mirror: Mirror, store: Store, told: Callable[[int, int], object]) -> tuple[int, int, list[Damaged]]:
    """Hashes all that a mirror has. What is damaged is removed there, so that it is made or pushed again.

    Args:
        mirror: the mirror.
        store: of this home; what it has in full mends the mirror.
        told: how many artifacts are hashed, and of how many.

    Returns:
        The number of records, of artifacts, and what was damaged.
    """
    keys = list(mirror.known())
    records = mirror.read_all(keys)
    damaged = {key: Damaged(key=key, name="", files=(record_path(key),), mended=False) for key in keys}
    by_digest: dict[str, list[Record]] = {}
    for record in records.values():
        del damaged[record.key]
        by_digest.setdefault(record.digest, []).append(record)
    hashed = 0

    def bad(digest: str) -> tuple[str, ...]:
        nonlocal hashed
        place = f"objects/{digest[:2]}/{digest}"
        files = by_digest[digest][0].files
        found = [
            f"{place}/{name}"
            for name, entry in files.items()
            if mirror.files.digest(f"{place}/{name}", entry[1]) != entry[0]
        ]
        hashed += 1
        told(hashed, len(by_digest))
        return tuple(found)

    for digest, files in zip(by_digest, mirror.files.each(bad, by_digest), strict=True):
        for record in by_digest[digest] if files else ():
            damaged[record.key] = Damaged(key=record.key, name=record.name, files=files, mended=False)
    if mirror.files.trouble:  # what could not be read is not damaged
        return len(keys), len(by_digest), []
    return len(keys), len(by_digest), [_mended(mirror, store, each) for each in damaged.values()]


def _mended(mirror: Mirror, store: Store, found: Damaged) -> Damaged:
    """Removes what is damaged; pushes it anew if it is here. A record that is only not signed as we ask for stays."""
    refused = found.key in mirror.refused
    if not refused:
        mirror.files.remove([record_path(found.key), *found.files])
    mirror.distrust(found.key, f"{found.name or found.key[:16]} was damaged there")
    own = store.intact(found.key)
    mended = own is not None and not store.damaged_files(own) and mirror.send(store, own)
    return replace(found, mended=mended, refused=refused)


@dataclass(frozen=True, kw_only=True)
class Unneeded:
    """What can be removed from a mirror.

    Attributes:
        records: key -> name of the stage.
        artifacts: digests.
        paths: all files that go, those of records first.
        size: their bytes.
        kept: what could not be read, and is kept for that reason.
    """

    records: Mapping[str, str]
    artifacts: tuple[str, ...]
    paths: tuple[str, ...]
    size: int
    kept: tuple[str, ...]


def unneeded(mirror: Mirror, needed: Collection[str], age: float) -> Unneeded:
    """Finds what nobody has pushed within `age` seconds and neither this home nor anything younger needs.

    A mirror does not say who reads it: other homes' needs are known by age alone. What one of them misses then, it makes
    again.

    Args:
        mirror: the mirror.
        needed: keys of records and digests of artifacts that this home needs.
        age: seconds for which everything is kept.
    """
    now = mirror.files.now()  # ours may be days ahead of the clock that stamped the files

    def old(entry: Mapping[str, Any], seconds: float = age) -> bool:
        moment = written(entry)
        return moment is not None and now - moment > seconds

    # Artifacts first: what is pushed meanwhile has its record after this listing, and is young.
    objects = mirror.files.listing("objects", many=True)
    files = {
        path.rpartition("/")[2].removesuffix(".json"): entry
        for path, entry in mirror.files.listing("records", many=True).items()
    }
    records = mirror.read_all(mirror.known())
    live: set[str] = set()
    waiting = [
        key
        for key, record in records.items()
        if key in needed or record.digest in needed or not old(files.get(key, {}))
    ]
    while waiting:
        key = waiting.pop()
        if key not in live and key in records:
            live.add(key)
            waiting += [str(entry.get("key", "")) for entry in records[key].manifest["inputs"].values()]
    loose = {key: record.name for key, record in records.items() if key not in live}
    digests = {records[key].digest for key in live} | set(needed)
    codes = {str(records[key].manifest["code"]) for key in live}
    unreadable = [key for key in mirror.known() if key not in records]
    of_digest: dict[str, list[str]] = {}
    for path in objects:
        of_digest.setdefault(path.split("/")[1] if path.count("/") > 1 else "", []).append(path)
    gone = [
        digest
        for digest, paths in of_digest.items()
        if digest and digest not in digests and not unreadable and all(old(objects[path]) for path in paths)
    ]
    others: dict[str, Mapping[str, Any]] = {}
    for folder, seconds in (("code", age), ("checkpoints", age), ("claims", min(age, _SHORT_SECONDS))):
        for name, entry in mirror.files.listing(folder).items():
            if old(entry, seconds) and name.removesuffix(".json") not in codes:
                others[f"{folder}/{name}"] = entry
    paths = [
        *map(record_path, loose),
        *(f"objects/{path}" for digest in gone for path in of_digest[digest]),
        *others,
    ]
    sizes = [
        *(files[key] for key in loose),
        *(objects[path] for digest in gone for path in of_digest[digest]),
        *others.values(),
    ]
    return Unneeded(
        records=loose,
        artifacts=tuple(gone),
        paths=tuple(paths),
        size=sum(int(entry.get("size") or 0) for entry in sizes),
        kept=tuple(f"record {key[:16]} cannot be read: every artifact without a record is kept" for key in unreadable),
    )


def remove(mirror: Mirror, found: Unneeded) -> int:
    """Removes it: records first, so that nobody finds one whose artifact is half gone; returns how many files."""
    count = len(found.records)
    return mirror.files.remove(found.paths[:count]) + mirror.files.remove(found.paths[count:])
