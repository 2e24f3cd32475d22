"""What runs where, and how long the rest will take: said in the home for `xtreme-dag status`, and shown in Prefect."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from contextvars import copy_context
from types import TracebackType
from typing import Any

from tasks._artifacts import show_table
from tasks._stage import Session
from xtreme_dag.engine.claims import Claim, local_claims, mirrored_claims, running_rows
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.under_way import Progress, is_under_way, noted, say_progress

_LOOK_SECONDS, _SHOW_SECONDS = 5.0, 30.0


class Overview:
    """Follows a run in a thread of its own.

    Args:
        session: of the run.
        places: how many stages run side by side.
        mirror: through which other machines say what they run.
    """

    def __init__(self, session: Session, places: Callable[[], int], mirror: Mirror | None = None) -> None:
        self._session, self._places, self._mirror = session, places, mirror
        self._listen = session.listen
        self._over: set[str] = set()
        self._failed = 0
        self._running: set[str] = set()
        self._ended, self._noted = threading.Event(), ExitStack()
        self._thread = threading.Thread(target=copy_context().run, args=(self._follow,), daemon=True)

    def __enter__(self) -> Overview:
        executor = self._session.executor
        if not is_under_way(
            executor.home, executor.study
        ):  # `xtreme-dag run` has noted it; a deployment's flow has not
            self._noted.enter_context(noted(executor.home, executor.study))
        self._session.listen = self._hear
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(_LOOK_SECONDS)
        self._session.listen = self._listen
        self._noted.__exit__(kind, error, trace)

    def _hear(self, event: Any) -> None:
        if event["event"] in ("finished", "failed", "not run"):
            self._over.add(event["stage"])
            self._failed += event["event"] != "finished"
        self._listen(event)

    def _follow(self) -> None:
        shown = time.monotonic()
        while not self._ended.wait(_LOOK_SECONDS):
            claims = self._claims()
            with suppress(OSError):
                say_progress(self._session.executor.home, self._session.executor.study, self._progress())
            if self._mirror is not None:
                self._tell(claims)
            if claims and time.monotonic() - shown > _SHOW_SECONDS:
                shown = time.monotonic()
                study = self._session.executor.study
                show_table(
                    "machines", study, running_rows(claims), f"What runs where, of {study}; {self._progress().line()}"
                )

    def _claims(self) -> list[Claim]:
        executor = self._session.executor
        found = {claim.key: claim for claim in (mirrored_claims(self._mirror) if self._mirror is not None else [])}
        found |= {claim.key: claim for claim in local_claims(executor.home.running)}
        return [claim for claim in found.values() if claim.study == executor.study]

    def _tell(self, claims: list[Claim]) -> None:
        """Shows on the terminal what other machines run."""
        for claim in claims:
            if claim.stage in self._over or claim.stage not in self._session.graph:
                continue
            if claim.stage not in self._running:
                self._running.add(claim.stage)
                self._listen({"event": "started", "stage": claim.stage})
            done = {"done": round(100 * claim.done), "total": 100, "on": claim.host}
            self._listen({"event": "progress", "stage": claim.stage, **done})

    def _progress(self) -> Progress:
        """How far the run is."""
        graph, executor = self._session.graph, self._session.executor
        waiting = [stage.name for stage in graph if stage.name not in self._over]
        work = sum(executor.expected.get(name, 0.0) for name in waiting)
        longest = max((self._session.urgency[name] for name in waiting), default=0.0)
        places = max(1, self._places())
        return Progress(
            host=platform.node(),
            stages=len(graph),
            over=len(self._over),
            failed=self._failed,
            places=places,
            left=max(work / places, longest),
        )
