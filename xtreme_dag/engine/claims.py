"""Which machine runs which stage: a running stage says so in its home and in the mirror, again and again until it ends.

Only said, never relied on: a claim keeps two machines from training the same thing most of the time, and tells people
what runs where. One that is not renewed is stale and taken over; two machines that make the same anyway make it twice.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xtreme_dag.core.durations import duration
from xtreme_dag.core.files import write_atomically
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.records import is_hash

_SECONDS = 60.0  # for which a claim counts without being renewed
_RENEWALS = 4  # in that time
_SHORT = 10.0  # a stage that takes less is made twice rather than claimed on a mirror
_SEEN = 1.0  # a stage that takes less is not shown
_SKEW = 600.0  # seconds that another machine's clock may be behind ours
_MOST_BYTES = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a machine says of a stage that it runs.

    Attributes:
        key: of the stage.
        stage: its name.
        study: for which it runs.
        run: the run that it is part of.
        host: the machine.
        pid: the process there.
        device: what it computes on.
        started: when, in seconds since 1970.
        expires: when the claim is stale, likewise.
        beat: how often it was renewed.
        done: share that is done, from 0 to 1; 0 if the stage does not say.
        expected: seconds that the stage is expected to take; 0 if nobody knows.
    """

    key: str
    stage: str
    study: str
    run: str
    host: str
    pid: int
    device: str
    started: float
    expires: float
    beat: int = 0
    done: float = 0.0
    expected: float = 0.0

    def left(self, now: float) -> float | None:
        """Seconds until the stage is likely done; None if nobody knows."""
        spent = max(0.0, now - self.started)
        if self.done > 0:
            return spent * (1 - self.done) / self.done
        return max(0.0, self.expected - spent) if self.expected else None


def read_claim(content: bytes | None) -> Claim | None:
    """The claim in a file, or None if it is none."""
    try:
        values = json.loads(content or b"")
        claim = Claim(**values)
        texts = (claim.key, claim.stage, claim.study, claim.run, claim.host, claim.device)
        numbers = (claim.pid, claim.started, claim.expires, claim.beat, claim.done, claim.expected)
        whole = all(isinstance(text, str) and text.isprintable() for text in texts) and is_hash(claim.key)
        return claim if whole and all(0 <= float(number) < 1e12 for number in numbers) else None
    except (ValueError, TypeError, RecursionError):
        return None


def local_claims(folder: Path) -> list[Claim]:
    """What runs in a home."""
    contents = []
    for path in sorted(folder.glob("*.json")):
        with suppress(OSError):
            contents.append(path.read_bytes())
    return _living(map(read_claim, contents))


def mirrored_claims(mirror: Mirror) -> list[Claim]:
    """What runs on all machines that share a mirror."""
    names = [name for name in mirror.files.listing("claims") if name.endswith(".json")]
    return _living(
        map(read_claim, mirror.files.each(lambda name: mirror.files.read(f"claims/{name}", _MOST_BYTES), names))
    )


def _living(claims: Iterator[Claim | None]) -> list[Claim]:
    now = time.time()
    return [claim for claim in claims if claim is not None and claim.expires > now]


class Claims:
    """The claims of one process.

    Args:
        folder: of the home's.
        mirror: where other machines see them; None without one.
        study: for which stages run.
        run: the run that they are part of. A claim of the same run is taken over at once: whoever gives out its stages
            knows that the one before is gone.
        seconds: for which a claim counts without being renewed.
    """

    def __init__(self, folder: Path, mirror: Mirror | None, *, study: str, run: str, seconds: float = _SECONDS) -> None:
        self._folder, self._mirror, self._study, self.run, self._seconds = folder, mirror, study, run, seconds

    def wait(
        self, key: str, waiting: Callable[[str], object], stopped: Callable[[], bool], made: Callable[[], bool]
    ) -> None:
        """Waits while another machine is at a key, and until what it made is there.

        Args:
            key: the key.
            waiting: told once who it is.
            stopped: whether to wait no more.
            made: whether it is there.
        """
        if self._mirror is None:
            return
        seen: dict[int, float] = {}
        told = False
        while (claim := self._other(key)) is not None and not stopped():
            # By our own clock: that of the other machine may be wrong.
            if time.monotonic() - seen.setdefault(claim.beat, time.monotonic()) > self._seconds:
                return
            if made():
                return
            if not told:
                waiting(f"{claim.host}, which makes the same")
                told = True
            time.sleep(min(5.0, self._seconds / 12))

    def _other(self, key: str) -> Claim | None:
        """A claim of somebody else that may not be stale: what the other's clock says of it is known to `_SKEW` only."""
        assert self._mirror is not None
        claim = read_claim(self._mirror.files.read(_path(key), _MOST_BYTES))
        if claim is None or claim.run == self.run or claim.expires + _SKEW < time.time():
            return None
        return claim

    @contextmanager
    def held(
        self, key: str, stage: str, *, device: str, expected: float
    ) -> Iterator[Callable[[Mapping[str, Any]], None]]:
        """Says that a stage runs until the block ends; gives what is to hear of its progress."""
        now = time.time()
        holder = _Held(
            Claim(
                key=key,
                stage=stage,
                study=self._study,
                run=self.run,
                host=platform.node(),
                pid=os.getpid(),
                device=device,
                started=now,
                expires=now + self._seconds,
                expected=expected,
            ),
            self._folder / f"{key}.json",
            self._mirror,
            self._seconds,
        )
        holder.start()
        try:
            yield holder.listen
        finally:
            holder.stop()


class _Held(threading.Thread):
    """Renews one claim."""

    def __init__(self, claim: Claim, path: Path, mirror: Mirror | None, seconds: float) -> None:
        super().__init__(daemon=True)
        self._claim, self._local, self._mirror, self._seconds = claim, path, mirror, seconds
        self._ended = threading.Event()
        self._done = 0.0

    def listen(self, event: Mapping[str, Any]) -> None:
        """Takes an event of the stage."""
        if event["event"] == "progress" and event.get("total"):
            self._done = min(1.0, max(0.0, float(event["done"]) / float(event["total"])))

    def run(self) -> None:
        first = 0.0 if self._claim.expected >= _SHORT else _SHORT
        begun, beat, next_there = time.monotonic(), 0, first
        told = False
        wait = min(_SEEN, self._seconds / _RENEWALS)
        while not self._ended.wait(wait):
            wait = min(5.0, self._seconds / _RENEWALS)
            beat += 1
            said = asdict(self._claim) | {"beat": beat, "done": self._done, "expires": time.time() + self._seconds}
            with suppress(OSError):  # the disk is full: the stage will say so
                write_atomically(self._local, json.dumps(said))
            if self._mirror is not None and time.monotonic() - begun >= next_there:
                next_there = time.monotonic() - begun + self._seconds / _RENEWALS
                told = self._mirror.files.write(_path(self._claim.key), json.dumps(said).encode()) or told
        with suppress(OSError):
            self._local.unlink(missing_ok=True)
        if told and self._mirror is not None:
            self._mirror.files.remove([_path(self._claim.key)])

    def stop(self) -> None:
        """Says no more; what a mirror has is removed in the background."""
        self._ended.set()
        self.join(timeout=self._seconds / _RENEWALS)


def _path(key: str) -> str:
    return f"claims/{key}.json"


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
                "for": duration(max(0.0, now - claim.started)),
                "done": f"{100 * claim.done:.0f} %" if claim.done else "",
                "left": "" if left is None else f"about {duration(left)}",
            }
        )
    return found
