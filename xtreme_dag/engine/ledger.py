"""The ledger: an append-only log of what every run did with every stage, independent of Prefect's database."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

DONE, CACHED, FAILED, NOT_RUN = "succeeded", "cached", "failed", "not run"
RELEASED = "released"  # the study has what it needs of the artifact: its large files may be dropped
_OUTCOMES = frozenset({DONE, CACHED, FAILED, NOT_RUN, RELEASED})
_MOST = 1e15  # seconds; more is no time, and may be no float
_TEXTS = ("study", "stage", "outcome", "key", "kind", "time", "run", "error")


@dataclass(frozen=True, kw_only=True)
class Last:
    """What the ledger last said of a stage of a study.

    Attributes:
        key: the key it last had when it succeeded or was found cached; empty if never.
        failed_key: the key with which it failed after that; empty if it did not.
        error: what it failed of.
        seconds: what its last execution took; None if it never ran to its end.
        released: whether the study has said since that it does not need the large files of the artifact any more.
    """

    key: str = ""
    failed_key: str = ""
    error: str = ""
    seconds: float | None = None
    released: bool = False


class Ledger:
    """Appends and reads lines of JSON."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Appends whole lines, in one piece even if several processes do so at once.

        Raises:
            OSError: the disk is full or the file cannot be written; nothing of the lines is in it then.
        """
        text = "".join(json.dumps(dict(entry), ensure_ascii=False) + "\n" for entry in entries).encode()
        if not text:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":  # a line that was cut off costs itself only
                text = b"\n" + text
            try:
                if os.write(handle, text) != len(text):
                    raise OSError(28, os.strerror(28), str(self._path))  # ENOSPC: the disk took a part
            except OSError:
                os.ftruncate(handle, size)
                raise
        finally:
            os.close(handle)

    def lines(self) -> Iterator[tuple[bytes, dict[str, Any] | None]]:
        """Each line that is not blank, oldest first, and its entry: None if it is damaged (cut off, or of wrong form)."""
        try:
            with self._path.open("rb") as file:
                for line in file:
                    if line.strip():
                        yield line, _entry(line)
        except FileNotFoundError:
            return

    def entries(self) -> Iterator[dict[str, Any]]:
        """All entries, oldest first; damaged lines are passed over, and a ledger that cannot be read is empty."""
        try:
            yield from (entry for _line, entry in self.lines() if entry is not None)
        except OSError:
            return

    def trouble(self) -> str:
        """What is wrong with the ledger, in a line; empty if nothing is."""
        try:
            bad = [number for number, (_line, entry) in enumerate(self.lines(), 1) if entry is None]
        except OSError as error:
            return f"{self._path} cannot be read ({error.strerror}): what earlier runs did is not known"
        shown = ", ".join(map(str, bad[:5])) + (", ..." if len(bad) > 5 else "")
        return f"{self._path}: {len(bad)} damaged lines are passed over (line {shown})" if bad else ""

    def last(self, study: str) -> dict[str, Last]:
        """Stage name -> what was last said of it in a study."""
        return self._by_study(study).get(study, {})

    def keys(self) -> set[str]:
        """The keys of all stages that succeeded or were found cached."""
        return {entry["key"] for entry in self.entries() if entry["outcome"] in (DONE, CACHED)}

    def holders(self, keys: Collection[str]) -> set[tuple[str, str]]:
        """Studies and stages whose last key is among some, and that have not released its artifact."""
        return {
            (study, name)
            for study, stages in self._by_study().items()
            for name, last in stages.items()
            if last.key in keys and not last.released
        }

    def _by_study(self, only: str | None = None) -> dict[str, dict[str, Last]]:
        """Study -> stage name -> what was last said of it; of all studies, or of one."""
        studies: dict[str, dict[str, Last]] = {}
        for entry in self.entries():
            if only not in (None, entry["study"]):
                continue
            found = studies.setdefault(entry["study"], {})
            name, key, outcome = entry["stage"], entry["key"], entry["outcome"]
            before = found.get(name, Last())
            if outcome in (DONE, CACHED):
                found[name] = Last(key=key, seconds=entry.get("seconds", before.seconds))
            elif outcome == FAILED:
                found[name] = replace(before, failed_key=key, error=entry.get("error", ""))
            elif outcome == RELEASED and key == before.key:
                found[name] = replace(before, released=True)
        return studies

    def median_seconds(self) -> dict[str, float]:
        """Kind -> median seconds of its executions."""
        times: dict[str, list[float]] = {}
        for entry in self.entries():
            if entry["outcome"] == DONE and "kind" in entry:
                times.setdefault(entry["kind"], []).append(float(entry.get("seconds", 0.0)))
        return {kind: sorted(values)[len(values) // 2] for kind, values in times.items()}


def _entry(line: bytes) -> dict[str, Any] | None:
    """The entry in a line of the ledger, or None if the line is damaged."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    entry.setdefault("key", "")
    texts = all(isinstance(entry[name], str) for name in _TEXTS if name in entry)
    seconds = entry.get("seconds", 0.0)
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < _MOST
    whole = texts and number and "study" in entry and "stage" in entry and entry.get("outcome") in _OUTCOMES
    return entry if whole else None
