"""How far runs are and what runs where: what `xtreme-dag status` shows, and what a run tells it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass

from xtreme_dag.core.durations import duration
from xtreme_dag.core.files import sha256_of, write_atomically
from xtreme_dag.core.home import Home
from xtreme_dag.engine.claims import Claim

_STALE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run of a study is.

    Attributes:
        study: its name.
        run: the run.
        host: the machine that drives it.
        stages: how many it has.
        over: how many of them are done, cached, failed or will not run.
        failed: those of them that failed or will not run.
        places: stages that run side by side.
        left: seconds that the rest is expected to take: its work on so many places, but no less than the longest chain.
        time: when this was written, in seconds since 1970.
        ended: whether the run has ended.
    """

    study: str
    run: str
    host: str
    stages: int
    over: int
    failed: int
    places: int
    left: float
    time: float
    ended: bool

    def line(self) -> str:
        """The same in words."""
        failed = f", {self.failed} failed or not run" if self.failed else ""
        return (
            f"{self.over} of {self.stages} stages done{failed}; about {duration(self.left)} left"
            f" with {self.places} side by side"
        )


def write_progress(home: Home, progress: Progress) -> None:
    """Says how far a run is; at its end, no more."""
    path = home.running / f"study-{sha256_of(progress.study)[:16]}.progress"
    if progress.ended:
        path.unlink(missing_ok=True)
    else:
        write_atomically(path, json.dumps(asdict(progress)))


def read_progress(home: Home) -> list[Progress]:
    """The runs that are under way and driven from a home."""
    found = []
    for path in sorted(home.running.glob("*.progress")):
        with suppress(OSError, ValueError, TypeError):
            progress = Progress(**json.loads(path.read_bytes()))
            if time.time() - progress.time < _STALE_SECONDS:
                found.append(progress)
    return found


def running_rows(claims: Iterable[Claim]) -> list[dict[str, str]]:
    """What runs where, as the rows of a table, machine by machine."""
    now = time.time()
    found = []
    for claim in sorted(claims, key=lambda each: (each.host, each.started)):
        left = claim.left(now)
        found.append(
            {
                "machine": claim.host,
                "device": claim.device,
                "stage": claim.stage,
                "for": duration(now - claim.started),
                "done": f"{100 * claim.done:.0f} %" if claim.done else "",
                "left": "" if left is None else f"about {duration(left)}",
            }
        )
    return found
