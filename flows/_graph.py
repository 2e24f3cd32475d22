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
from flows._elsewhere import Elsewhere
from tasks._cache import reference
from tasks._stage import Session, configured
from tasks._untouched import report_cached, report_not_run
from xtreme_dag.engine.dropping import standing_in
from xtreme_dag.engine.graph import Graph, Output, Stage
from xtreme_dag.engine.ledger import CACHED, DONE, FAILED, NOT_RUN
from xtreme_dag.engine.priority import Agenda
from xtreme_dag.engine.store import Record

# Threads of the task runner: the most stages that run side by side.
AT_ONCE = 32


def run_graph(session: Session, place: Elsewhere | None = None) -> dict[str, str]:
    """Runs every stage of a session inside the current flow; a failure stops only what depends on it.

    Args:
        session: the session.
        place: the machines to run on; this one by default.

    Returns:
        Stage name -> `succeeded`, `cached`, `failed` or `not run`.

    Raises:
        Pause: the run is suspended; nothing of it is under way any more.
    """
    graph = session.graph
    at: Here | Elsewhere = place or Here(session)
    outcomes, done, runs = _cached_from_the_start(session, at)
    if session.dropping is not None:
        session.dropping.all(session.executor.known)
    agenda = Agenda(graph, session.urgency, outcomes)
    futures: dict[str, Any] = {}
    causes: dict[str, str] = {}
    finished: SimpleQueue[str] = SimpleQueue()
    taken = 0
    try:
        while agenda or taken:
            session.boundary()
            # Submitted when what it needs is settled and a worker is free: what is "Running" in Prefect runs.
            while name := agenda.take(_fits(graph, at, causes, taken)):
                stage = graph[name]
                cause = next((causes[parent] for parent in stage.parents if parent in causes), "")
                if cause:
                    causes[stage.name], outcomes[stage.name] = cause, NOT_RUN
                    runs[stage.name] = report_not_run(current_run().id, stage, f"needs {cause}", runs)
                    session.executor.not_run(stage)
                    session.listen({"event": "not run", "stage": stage.name})
                    agenda.settle(stage.name)
                    continue
                futures[stage.name] = at.submit(stage, done, runs)
                runs[stage.name] = futures[stage.name].task_run_id
                futures[stage.name].add_done_callback(partial(_tell, finished, stage.name))
                at.take(stage)
                taken += 1
            if not taken:
                break
            name = finished.get()
            at.free(graph[name])
            taken -= 1
            session.boundary()
            outcomes[name], record = at.outcome(graph[name], futures[name])
            if record is not None:
                done[name] = reference(record)
            if outcomes[name] == FAILED:
                causes[name] = (
                    f"{name}, which failed: {session.executor.failure(graph[name]) or futures[name].state.message}"
                )
            elif session.dropping is not None:
                session.dropping.after(name, session.executor.known)
            agenda.settle(name)
    except Pause:
        for _ in range(taken):
            finished.get()
        raise
    return {stage.name: outcomes[stage.name] for stage in graph}


def _fits(graph: Graph, at: Here | Elsewhere, causes: Mapping[str, str], taken: int) -> Callable[[str], bool]:
    """Whether a stage can start now; one that will not run always can."""
    fits = at.fits()
    return lambda name: any(parent in causes for parent in graph[name].parents) or fits(name, taken)


class Here:
    """Runs the stages of a session in worker processes of this one: Prefect's threads wait for them."""

    def __init__(self, session: Session) -> None:
        self._session, self._graph = session, session.graph
        self._workers, self._devices = min(session.executor.workers, AT_ONCE), session.executor.devices
        self._busy = 0
        self._futures: dict[str, PrefectFuture[Any]] = {}

    def fits(self) -> Callable[[str, int], bool]:
        """Whether a stage can start now with so many under way, asked of the most urgent first."""
        held_up = False

        def fits(name: str, taken: int) -> bool:
            nonlocal held_up
            needs = self._needs(self._graph[name])
            if needs and (held_up or self._busy + needs > self._devices):
                held_up = True  # what is less urgent and needs less must not always go before it
                return False
            return taken < self._workers

        return fits

    def _needs(self, stage: Stage) -> int:
        """How many devices a stage needs; more than there are is an error that the stage itself reports."""
        return min(stage.devices, self._devices) if stage.of.device else 0

    def take(self, stage: Stage) -> None:
        """Gives a stage its devices."""
        self._busy += self._needs(stage)

    def free(self, stage: Stage) -> None:
        """Takes them back."""
        self._busy -= self._needs(stage)

    def standing(self, stage: Stage, parents: Mapping[str, str]) -> Record | None:
        """The record of a stage that needs nothing done."""
        return self._session.executor.standing(stage, parents)

    def submit(self, stage: Stage, done: Mapping[str, dict[str, str]], _runs: Mapping[str, UUID]) -> PrefectFuture[Any]:
        """A stage as a task run, with the references of what it needs, or the futures that hold them."""
        made = dict.fromkeys(source.stage for source in stage.inputs.values() if isinstance(source, Output))
        future = self._futures[stage.name] = configured(self._session, stage).submit(
            self._session.id,
            stage.name,
            {name: self._futures.get(name) or done[name] for name in made},
            wait_for=[self._futures[name] for name in stage.after if name in self._futures],
        )
        return future

    def outcome(self, stage: Stage, future: PrefectFuture[Any]) -> tuple[str, Record | None]:
        """What became of a stage, and its record."""
        executor, listen = self._session.executor, self._session.listen
        future.wait()
        state = future.state
        if state.is_completed():
            # Prefect logs a failed commit and goes on; a stage counts only if the store has its artifact.
            record = executor.store.standing(future.result()["key"])
            if record is None:
                return FAILED, None
            if state.name != "Cached":
                return CACHED if executor.was_cached(stage) else DONE, record
            executor.found(stage, record)
            listen({"event": "finished", "stage": stage.name, "cached": True, "seconds": 0.0})
            return CACHED, record
        listen({"event": "failed", "stage": stage.name, "message": executor.failure(stage) or state.message})
        return FAILED, None


def _tell(finished: SimpleQueue[str], name: str, _future: PrefectFuture[Any]) -> None:
    finished.put(name)


def _cached_from_the_start(
    session: Session, at: Here | Elsewhere
) -> tuple[dict[str, str], dict[str, dict[str, str]], dict[str, UUID]]:
    """Stages that are cached with all that they need: recorded at once; their references, and their task runs."""
    flow_run = current_run().id
    outcomes: dict[str, str] = {}
    done: dict[str, dict[str, str]] = {}
    runs: dict[str, UUID] = {}
    for name, record in standing_in(session.executor, session.graph, at.standing).items():
        stage = session.graph[name]
        done[stage.name] = reference(record)
        runs[stage.name] = report_cached(flow_run, stage, record, runs)
        outcomes[stage.name] = CACHED
        session.executor.found(stage, record)
        session.listen({"event": "finished", "stage": stage.name, "cached": True, "seconds": 0.0})
    return outcomes, done, runs
