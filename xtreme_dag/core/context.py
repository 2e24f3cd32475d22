"""The context of a running stage: its output folder, scratch folder and options, and how it reports progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Stopped(Exception):
    """The stage was asked to stop and has written a checkpoint, from which its next execution goes on."""


def _silent(event: Mapping[str, Any]) -> None:
    """The default listener: drops the event."""


def _never() -> bool:
    """Nobody asks the stage to stop."""
    return False


@dataclass(frozen=True, kw_only=True)
class StageContext:
    """The context of one execution; nothing in here may change the artifact.

    Attributes:
        out: an empty folder; its content when the stage function returns is the artifact.
        scratch: a folder that survives a kill (checkpoints); removed after the commit.
        options: settings that cannot change the result: device, threads, inference batch tokens, ...
        listen: receives progress and log events (JSON-ready mappings).
        stopping: whether the stage is asked to write a checkpoint and raise `Stopped`. A stage that never calls it is
            ended at once when the run ends.
    """

    out: Path
    scratch: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    listen: Callable[[Mapping[str, Any]], None] = _silent
    stopping: Callable[[], bool] = _never

    def progress(self, done: float, total: float, **figures: Any) -> None:
        """Reports how far the stage is, in a unit of its own, with figures such as `loss` or `tokens_per_s`."""
        self.listen({"event": "progress", "done": done, "total": total, **figures})

    def log(self, message: str) -> None:
        """Writes one line to the log of the run."""
        self.listen({"event": "log", "message": message})
