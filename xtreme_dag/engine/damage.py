"""What becomes of a damaged artifact: it is set aside, and stages that may have read it are marked and run again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from xtreme_dag.engine.records import is_within
from xtreme_dag.engine.store import Record, Store


@dataclass(frozen=True, kw_only=True)
class Damage:
    """An artifact that was set aside.

    Attributes:
        record: a record of it.
        files: those that were not as recorded.
        place: where it lies now; None if it was gone.
        suspects: stages that may have read it when it was damaged. Their records are marked: they run again.
        after: stages that used a suspect's artifact, directly or not. They run again if a suspect comes out otherwise,
            since its digest is in their keys.
    """

    record: Record
    files: tuple[str, ...]
    place: Path | None
    suspects: tuple[str, ...]
    after: tuple[str, ...]


def set_aside(store: Store, record: Record, files: Sequence[str]) -> Damage:
    """Sets a damaged artifact aside and marks the records of the stages that may have read it.

    A stage that read a damaged file is cleared by when it did: it was committed before the file last changed, or its
    record says that it hashed the very bytes (`engine.execute` notes when). Where only times can tell, they are the
    files' modification times: whoever copies a home must keep them.

    Args:
        store: the store.
        record: of the artifact.
        files: those of its files that are not as recorded.
    """
    changed = {name: _changed(store.artifact(record.digest), name) for name in files}
    records = list(store.records())
    suspects = [each for each in records if not each.suspect and _may_have_read(store, each, record, changed)]
    place = store.set_aside(record.digest, f"{', '.join(files)} not as recorded by {record.name}")
    for each in suspects:
        store.accept(each.key, each, {"suspect": f"may have read damaged bytes of {record.name}"})
    after = _descendants(records, suspects)
    return Damage(
        record=record,
        files=tuple(files),
        place=place,
        suspects=tuple(sorted(each.name for each in suspects)),
        after=tuple(sorted(each.name for each in after)),
    )


def make_room(store: Store, earlier: Record | None, name: str, *, forced: bool) -> str:
    """Sets aside what is left of an artifact whose stage runs again under the same key; says why, if it is not forced.

    What is left of an artifact of which files were dropped stays: the new ones are put beside it.
    """
    if earlier is None:
        return ""
    if earlier.suspect:
        return f"{name}: {earlier.suspect}; it runs again"
    if forced:
        return ""
    if store.is_dropped(earlier):
        return f"{name}: files of it were dropped and are needed again; it runs again under the same key"
    place = store.set_aside(earlier.digest, f"sizes differ from the record of {name}")
    return (
        f"warning: {name}: damaged, set aside as {place}; it runs again"
        if place
        else f"{name}: artifact gone; it runs again"
    )


def _changed(folder: Path, name: str) -> float | None:
    """When a file was last written or removed, in seconds since the epoch; None if nobody can have read it since."""
    for path in (folder / name, (folder / name).parent):
        try:
            return path.stat().st_mtime
        except OSError:
            continue
    return None


def _may_have_read(store: Store, reader: Record, damaged: Record, changed: Mapping[str, float | None]) -> bool:
    """Whether a stage has the artifact as an input and may have run after a file of it changed.

    An input is known by its digest: its key may be another one of the same artifact, and have no record any more.
    """
    try:
        ended = store.record_path(reader.key).stat().st_mtime
    except OSError:
        return False
    started = datetime.fromisoformat(reader.manifest["started"]).timestamp()
    for entry in reader.manifest["inputs"].values():
        part = entry.get("part", "")
        if entry["digest"] != damaged.part_digest(part):
            continue
        for name, moment in changed.items():
            if moment is None or moment > ended or not is_within(name, part):
                continue
            hashed = entry.get("read", 0.0)
            if not (moment > hashed > 0 or hashed >= started):
                return True
    return False


def _descendants(records: Iterable[Record], of: Iterable[Record]) -> list[Record]:
    """Records that depend on others through their inputs, known by digest, those themselves left out."""
    readers: dict[str, dict[str, list[Record]]] = {}  # part of an artifact -> its digest -> who has it as an input
    for record in records:
        for entry in record.manifest["inputs"].values():
            readers.setdefault(entry.get("part", ""), {}).setdefault(entry["digest"], []).append(record)
    waiting = list(of)
    first = {record.key for record in waiting}
    found: dict[str, Record] = {}
    while waiting:
        record = waiting.pop()
        for part, by_digest in readers.items():
            for reader in by_digest.get(record.part_digest(part) or "", ()):
                if reader.key not in found and reader.key not in first:
                    found[reader.key] = reader
                    waiting.append(reader)
    return list(found.values())
