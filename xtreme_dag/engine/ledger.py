"""The ledger: an append-only log of what every run did with every stage. It is ours; Prefect is the cockpit."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

DONE, CACHED, FAILED, NOT_RUN = "succeeded", "cached", "failed", "not run"


@dataclass(frozen=True, kw_only=True)
class Last:
    """What the ledger last said of a stage of a study.

    Attributes:
        key: the key it last had when it succeeded or was found cached; empty if never.
        failed_key: the key with which it failed after that; empty if it did not.
        error: what it failed of.
        seconds: what its last execution took; None if it never ran to its end.
    """

    key: str = ""
    failed_key: str = ""
    error: str = ""
    seconds: float | None = None


class Ledger:
    """Appends and reads lines of JSON."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Appends whole lines, in one piece even if several processes do so at once."""
        text = "".join(json.dumps(dict(entry), ensure_ascii=False) + "\n" for entry in entries)
        if not text:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            os.write(handle, text.encode())
        finally:
            os.close(handle)

    def entries(self) -> Iterable[dict[str, Any]]:
        """All entries, oldest first; a line cut off by a crash is passed over."""
        try:
            with self._path.open("rb") as file:
                for line in file:
                    try:
                        yield json.loads(line)
                    except ValueError:
                        continue
        except OSError:
            return

    def last(self, study: str) -> dict[str, Last]:
        """Stage name -> what was last said of it in a study."""
        found: dict[str, Last] = {}
        for entry in self.entries():
            if entry.get("study") != study or "stage" not in entry:
                continue
            name, key, outcome = entry["stage"], entry.get("key", ""), entry.get("outcome")
            before = found.get(name, Last())
            if outcome in (DONE, CACHED):
                found[name] = Last(key=key, seconds=entry.get("seconds", before.seconds))
            elif outcome == FAILED:
                found[name] = replace(before, failed_key=key, error=entry.get("error", ""))
        return found

    def live_keys(self) -> set[str]:
        """Keys that some study's stages last had: what garbage collection must keep."""
        latest: dict[tuple[str, str], str] = {}
        for entry in self.entries():
            if entry.get("outcome") in (DONE, CACHED) and "stage" in entry:
                latest[entry.get("study", ""), entry["stage"]] = entry.get("key", "")
        return set(latest.values())

    def median_seconds(self) -> dict[str, float]:
        """Kind -> median seconds of its executions."""
        times: dict[str, list[float]] = {}
        for entry in self.entries():
            if entry.get("outcome") == DONE and "kind" in entry:
                times.setdefault(entry["kind"], []).append(float(entry.get("seconds", 0.0)))
        return {kind: sorted(values)[len(values) // 2] for kind, values in times.items()}
