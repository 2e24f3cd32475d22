"""What a running stage is given besides its parameters and inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def _silent(event: Mapping[str, Any]) -> None:
    """The default listener: nobody listens."""


@dataclass(frozen=True, kw_only=True)
class StageContext:
    """The surroundings of one execution; nothing in here may change the artifact.

    Attributes:
        out: an empty folder; its content when the stage function returns is the artifact.
        scratch: a folder that survives a kill (checkpoints); removed after the commit.
        options: settings that cannot change the result: device, threads, inference batch tokens, ...
        listen: receives progress and log events (JSON-ready mappings).
    """

    out: Path
    scratch: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    listen: Callable[[Mapping[str, Any]], None] = _silent

    def progress(self, done: float, total: float, **figures: Any) -> None:
        """Reports how far the stage is, in its own unit, with figures such as `loss` or `tokens_per_s`."""
        self.listen({"event": "progress", "done": done, "total": total, **figures})

    def log(self, message: str) -> None:
        """One line for the log of the run."""
        self.listen({"event": "log", "message": message})
