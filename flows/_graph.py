"""Submits a graph's stages as Prefect tasks and says what became of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from queue import SimpleQueue
from typing import Any
from uuid import UUID

from prefect.exceptions import Pause
from prefect.futures import PrefectFuture

from flows._alive import current_run
from tasks._cache import reference
from tasks._stage import Session, configured
from tasks._untouched import report_cached, report_not_run
from xtreme_dag.engine.dropping import standing_in
from xtreme_dag.engine.graph import Output, Stage
from xtreme_dag.engine.ledger import CACHED, DONE, FAILED, NOT_RUN
from xtreme_dag.engine.priority import Agenda

# Threads of the task runner: the most stages that run side by side.
AT_ONCE = 32


def run_graph(session: Session) -> dict[str, str]:
    """Runs every stage of a session inside the current flow; a failure stops only what depends on it.

    Returns:
        Stage name -> `succeeded`, `cached`, `failed` or `not run`.

    Raises:
        Pause: the run is suspended; nothing of it is under way any more.
    """
    graph = session.graph
    outcomes, done, runs = _cached_from_the_start(session)
    if session.dropping is not None:
        session.dropping.all(session.executor.known)
    agenda = Agenda(graph, session.urgency, outcomes)
    futures: dict[str, PrefectFuture[Any]] = {}
    causes: dict[str, str] = {}
    finished: SimpleQueue[str] = SimpleQueue()
    slots = _Slots(session)
    try:
        while agenda or slots.taken:
            session.boundary()
            # Submitted when what it needs is settled and a worker is free: what is "Running" in Prefect runs.
            while name := agenda.take(slots.fits(causes)):
                stage = graph[name]
                cause = next((causes[parent] for parent in stage.parents if parent in causes), "")
                if cause:
                    causes[stage.name], outcomes[stage.name] = cause, NOT_RUN
                    runs[stage.name] = report_not_run(current_run().id, stage, f"needs {cause}", runs)
                    session.executor.not_run(stage)
                    session.listen({"event": "not run", "stage": stage.name})
                    agenda.settle(stage.name)
                    continue
                futures[stage.name] = _submitted(session, stage, done, futures)
                runs[stage.name] = futures[stage.name].task_run_id
                futures[stage.name].add_done_callback(partial(_tell, finished, stage.name))
                slots.take(stage)
            if not slots.taken:
                break
            name = finished.get()
            slots.free(graph[name])
            session.boundary()
            outcomes[name] = _outcome(session, graph[name], futures[name])
            if outcomes[name] == FAILED:
                causes[name] = (
                    f"{name}, which failed: {session.executor.failure(graph[name]) or futures[name].state.message}"
                )
            elif session.dropping is not None:
                session.dropping.after(name, session.executor.known)
            agenda.settle(name)
    except Pause:
        while slots.taken:
            slots.free(graph[finished.get()])
        raise
    return {stage.name: outcomes[stage.name] for stage in graph}


class _Slots:
    """The workers and devices of a session, and which of them are taken.

    Attributes:
        taken: number of stages that have a worker.
    """

    def __init__(self, session: Session) -> None:
        self._graph = session.graph
        self._workers, self._devices = min(session.executor.workers, AT_ONCE), session.executor.devices
        self.taken = self._busy = 0

    def fits(self, causes: Mapping[str, str]) -> Callable[[str], bool]:
        """Whether a stage can start now, asked of the most urgent first; one that will not run always can."""
        held_up = False

        def fits(name: str) -> bool:
            nonlocal held_up
            stage = self._graph[name]
            if any(parent in causes for parent in stage.parents):
                return True
            needs = self._needs(stage)
            if needs and (held_up or self._busy + needs > self._devices):
                held_up = True  # what is less urgent and needs less must not always go before it
                return False
            return self.taken < self._workers

        return fits

    def _needs(self, stage: Stage) -> int:
        """How many devices a stage needs; more than there are is an error that the stage itself reports."""
        return min(stage.devices, self._devices) if stage.of.device else 0

    def take(self, stage: Stage) -> None:
        """Gives a stage a worker and its devices."""
        self.taken += 1
        self._busy += self._needs(stage)

    def free(self, stage: Stage) -> None:
        """Takes them back."""
        self.taken -= 1
        self._busy -= self._needs(stage)


def _tell(finished: SimpleQueue[str], name: str, _future: PrefectFuture[Any]) -> None:
    finished.put(name)


def _submitted(
    session: Session, stage: Stage, done: Mapping[str, dict[str, str]], futures: Mapping[str, PrefectFuture[Any]]
) -> PrefectFuture[Any]:
    """A stage as a task run, with the references of what it needs, or the futures that hold them."""
    made = dict.fromkeys(source.stage for source in stage.inputs.values() if isinstance(source, Output))
    return configured(session, stage).submit(
        session.id,
        stage.name,
        {name: done.get(name) or futures[name] for name in made},
        wait_for=[futures[name] for name in stage.after if name in futures],
    )


def _cached_from_the_start(session: Session) -> tuple[dict[str, str], dict[str, dict[str, str]], dict[str, UUID]]:
    """Stages that are cached with all that they need: recorded at once; their references, and their task runs."""
    flow_run = current_run().id
    outcomes: dict[str, str] = {}
    done: dict[str, dict[str, str]] = {}
    runs: dict[str, UUID] = {}
    for name, record in standing_in(session.executor, session.graph).items():
        stage = session.graph[name]
        done[stage.name] = reference(record)
        runs[stage.name] = report_cached(flow_run, stage, record, runs)
        outcomes[stage.name] = CACHED
        session.executor.found(stage, record)
        session.listen({"event": "finished", "stage": stage.name, "cached": True, "seconds": 0.0})
    return outcomes, done, runs


def _outcome(session: Session, stage: Stage, future: PrefectFuture[Any]) -> str:
    future.wait()
    state = future.state
    if state.is_completed():
        # Prefect logs a failed commit and goes on; a stage counts only if the store has its artifact.
        record = session.executor.store.standing(future.result()["key"])
        if record is None:
            return FAILED
        if state.name != "Cached":
            return CACHED if session.executor.was_cached(stage) else DONE
        session.executor.found(stage, record)
        session.listen({"event": "finished", "stage": stage.name, "cached": True, "seconds": 0.0})
        return CACHED
    session.listen(
        {"event": "failed", "stage": stage.name, "message": session.executor.failure(stage) or state.message}
    )
    return FAILED
