"""A stage's messages and progress in Prefect: log lines, and a progress artifact with the figures of its kind."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact

from tasks._artifacts import artifact_key
from tasks._server import impatient
from xtreme_dag.engine.calls import Listener
from xtreme_dag.engine.graph import Stage

# A busy server should not be asked more often than a person looks.
_SECONDS = 5.0


class StageProgress:
    """Shows what a stage reports in its task run; other events only pass through.

    Args:
        study: name of the study.
        stage: the stage; of one whose kind declares no figures, messages alone are shown.
        listen: receives every event, too.
        seconds: the least time between two updates; the first and the last report are always shown.
    """

    def __init__(self, study: str, stage: Stage, listen: Listener, seconds: float = _SECONDS) -> None:
        self._study, self._stage, self._listen, self._seconds = study, stage, listen, seconds
        self._artifact: UUID | None = None
        self._shown = float("-inf")
        self._broken = False

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Takes an event of the stage."""
        self._listen(event)
        if event["event"] == "log":
            get_run_logger().info("%s", event["message"])
        if event["event"] != "progress" or self._broken:
            return
        figures = [figure.written(event[figure.name]) for figure in self._stage.of.figures if figure.name in event]
        if not figures:
            return
        now = time.monotonic()
        if now - self._shown < self._seconds and event["done"] < event["total"]:
            return
        self._shown = now
        line = ", ".join([f"step {event['done']} of {event['total']}", *figures])
        get_run_logger().info("%s", line)
        try:
            with impatient():
                self._show(100.0 * event["done"] / event["total"], line)
        except httpx.TransportError:
            pass  # the server is away, and may be back for the next one
        except Exception as error:  # the cockpit may fail in many ways, and none of them is a reason to stop the stage
            self._broken = True
            get_run_logger().warning("progress is no longer shown: %s: %s", type(error).__name__, error)

    def _show(self, percent: float, line: str) -> None:
        """Makes the artifact, or brings it up to date."""
        description = f"{self._stage.name}: {line}"
        if self._artifact is None:
            key = artifact_key(self._study, self._stage.name)
            # the type is that of both ways of calling it; a task run is not asynchronous
            self._artifact = cast(UUID, create_progress_artifact(percent, key=key, description=description))
        else:
            update_progress_artifact(self._artifact, percent, description=description)
