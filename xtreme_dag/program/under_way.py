"""Which runs of a home are under way, and which ended before their end: a file for each, locked while it runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.core.locks import try_lock, unlock


@dataclass(frozen=True, kw_only=True)
class UnderWay:
    """A run that has not come to its end.

    Attributes:
        study: its study.
        started: when, ISO 8601.
        running: whether its process is there; else it was interrupted or killed.
    """

    study: str
    started: str
    running: bool

    def line(self) -> str:
        """What to tell of it."""
        if self.running:
            return f"{self.study}: a run is under way since {self.started}"
        return f"{self.study}: interrupted, the run that began {self.started}; run it again to go on"


@contextmanager
def noted(home: Home, study: str) -> Iterator[None]:
    """Notes a run for as long as the block takes; one that is interrupted or killed stays noted until the next.

    A home that cannot be written is no trouble here: the run will say so.
    """
    folder = _folder(home)
    path = folder / f"{study}-{os.getpid()}.lock"
    handle = None
    with suppress(OSError):
        _forget(folder, study)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        handle = try_lock(path, json.dumps({"study": study, "started": started}))
    ended = False
    try:
        yield
        ended = True
    except UserError:
        ended = True  # it has said why
        raise
    finally:
        if handle is not None:
            if ended:
                path.unlink(missing_ok=True)
            unlock(handle)


def under_way(home: Home) -> list[UnderWay]:
    """The runs of a home that have not come to their end, oldest first."""
    found = []
    for path in sorted(_folder(home).glob("*.lock")):
        try:
            told = json.loads(json.loads(path.read_bytes())["holder"])
            handle = try_lock(path, "", shared=True)  # shared: what the file says stays
            if handle is not None:
                unlock(handle)
            found.append(UnderWay(study=str(told["study"]), started=str(told["started"]), running=handle is None))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(found, key=lambda run: run.started)


def _forget(folder: Path, study: str) -> None:
    """Removes what earlier runs of a study left that are not there any more."""
    for path in folder.glob(f"{study}-*.lock"):
        if path.stem.removeprefix(f"{study}-").isdigit():
            handle = try_lock(path, "", shared=True)
            if handle is not None:
                path.unlink(missing_ok=True)
                unlock(handle)


def _folder(home: Home) -> Path:
    return home.root / "runs"
