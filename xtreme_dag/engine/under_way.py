"""Runs of a home that have not ended normally: which are under way, how far they are, and which were interrupted.

A run holds a lock on a file of its own for as long as it lives; how far a study is stands in another file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from xtreme_dag.core.durations import duration
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import sha256_of, write_atomically
from xtreme_dag.core.home import Home
from xtreme_dag.core.locks import try_lock, unlock


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes:
        host: the machine that drives it.
        stages: how many it has.
        over: how many of them are done, cached, failed or will not run.
        failed: those of them that failed or will not run.
        places: stages that run side by side.
        left: seconds that the rest is expected to take: its work on so many places, but no less than the longest chain.
    """

    host: str
    stages: int
    over: int
    failed: int
    places: int
    left: float

    def line(self) -> str:
        """The same in words."""
        failed = f", {self.failed} failed or not run" if self.failed else ""
        return (
            f"{self.over} of {self.stages} stages done{failed}; about {duration(self.left)} left"
            f" with {self.places} side by side"
        )


@dataclass(frozen=True, kw_only=True)
class UnderWay:
    """A run that has not come to its end.

    Attributes:
        study: its study.
        started: when, ISO 8601.
        running: whether its process is there; else it was interrupted or killed.
        progress: how far it is, if it runs and has said so.
    """

    study: str
    started: str
    running: bool
    progress: Progress | None = None

    def line(self) -> str:
        """What to tell of it."""
        if not self.running:
            return f"{self.study}: interrupted, the run that began {self.started}; run it again to go on"
        far = f" on {self.progress.host}: {self.progress.line()}" if self.progress else ""
        return f"{self.study}: a run is under way since {self.started}{far}"


@contextmanager
def noted(home: Home, study: str) -> Iterator[None]:
    """Notes a run for as long as the block takes; one that is interrupted or killed stays noted until the next.

    A home that cannot be written is no trouble here: the run will say so.
    """
    path = _path(home, study, f"-{os.getpid()}.lock")
    handle = None
    with suppress(OSError):
        _forget(home, study)
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


def say_progress(home: Home, study: str, progress: Progress) -> None:
    """Says how far the run of a study is that is under way.

    Raises:
        OSError: the home cannot be written.
    """
    write_atomically(_path(home, study, ".progress"), json.dumps(asdict(progress)))


def under_way(home: Home) -> list[UnderWay]:
    """The runs of a home that have not come to their end, oldest first."""
    found = []
    for path in sorted(_folder(home).glob("*.lock")):
        try:
            told = json.loads(json.loads(path.read_bytes())["holder"])
            study, started = str(told["study"]), str(told["started"])
            handle = try_lock(path, "", shared=True)  # shared: what the file says stays
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if handle is not None:
            unlock(handle)
        progress = _progress(home, study) if handle is None else None
        found.append(UnderWay(study=study, started=started, running=handle is None, progress=progress))
    return sorted(found, key=lambda run: run.started)


def is_under_way(home: Home, study: str) -> bool:
    """Whether a run of a study is under way."""
    return any(run.running and run.study == study for run in under_way(home))


def _progress(home: Home, study: str) -> Progress | None:
    try:
        return Progress(**json.loads(_path(home, study, ".progress").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _forget(home: Home, study: str) -> None:
    """Removes what earlier runs of a study left that are not there any more."""
    others = False
    for path in _folder(home).glob(_path(home, study, "-*.lock").name):
        handle = try_lock(path, "", shared=True)
        others = others or handle is None
        if handle is not None:
            path.unlink(missing_ok=True)
            unlock(handle)
    if not others:
        _path(home, study, ".progress").unlink(missing_ok=True)


def _path(home: Home, study: str, rest: str) -> Path:
    """A file of a study's runs; its name may be anything that a study can be called."""
    return _folder(home) / f"{sha256_of(study)[:16]}{rest}"


def _folder(home: Home) -> Path:
    return home.root / "runs"
