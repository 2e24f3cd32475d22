"""Submits a graph's stages as Prefect tasks and says what became of each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from queue import SimpleQueue
from typing import Any
from uuid import UUID

from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect.tasks import Task

from tasks._cache import reference
from tasks._cached import report_cached
from tasks._stage import Session, configured
from tasks.check import check
from tasks.encode import encode
from tasks.evaluate import evaluate
from tasks.intermediate import intermediate
from tasks.prepare import prepare
from tasks.pretrain import pretrain
from tasks.search import search
from tasks.target import target
from tasks.translate import translate
from xtreme_dag.engine.graph import Output, Stage
from xtreme_dag.engine.ledger import CACHED, DONE, FAILED, NOT_RUN
from xtreme_dag.engine.priority import Agenda

# Threads that wait for workers; how much runs side by side is the worker pool's to say.
AT_ONCE = 32
TASKS: Mapping[str, Task[..., Any]] = {
    "prepare": prepare,
    "check": check,
    "encode": encode,
    "pretrain": pretrain,
    "translate": translate,
    "intermediate": intermediate,
    "target": target,
    "search": search,
    "evaluate": evaluate,
}


def run_graph(session: Session) -> dict[str, str]:
    """Runs every stage of a session inside the current flow; a failure stops only what depends on it.

    Returns:
        Stage name -> `succeeded`, `cached`, `failed` or `not run`.
    """
    outcomes, done = _cached_from_the_start(session)
    agenda = Agenda(session.graph, session.urgency, outcomes)
    futures: dict[str, PrefectFuture[Any]] = {}
    finished: SimpleQueue[str] = SimpleQueue()
    running = 0
    while agenda or running:
        # Submitted when what it needs is settled: a task that waits for others would hold a thread of the runner.
        while agenda and running < AT_ONCE:
            stage = session.graph[agenda.take()]
            futures[stage.name] = _submitted(session, stage, done, futures)
            futures[stage.name].add_done_callback(partial(_tell, finished, stage.name))
            running += 1
        name = finished.get()
        running -= 1
        outcomes[name] = _outcome(session, session.graph[name], futures[name])
        agenda.settle(name)
    return {stage.name: outcomes[stage.name] for stage in session.graph}


def _tell(finished: SimpleQueue[str], name: str, _future: PrefectFuture[Any]) -> None:
    finished.put(name)


def _submitted(
    session: Session, stage: Stage, done: Mapping[str, dict[str, str]], futures: Mapping[str, PrefectFuture[Any]]
) -> PrefectFuture[Any]:
    """A stage as a task run, with the references of what it needs, or the futures that hold them."""
    made = dict.fromkeys(source.stage for source in stage.inputs.values() if isinstance(source, Output))
    return configured(TASKS[stage.kind], session, stage).submit(
        session.id,
        stage.name,
        {name: done.get(name) or futures[name] for name in made},
        wait_for=[futures[name] for name in stage.after if name in futures],
    )


def _cached_from_the_start(session: Session) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Stages that are cached with all that they need: recorded at once, and their references."""
    context = FlowRunContext.get()
    assert context is not None and context.flow_run is not None
    outcomes: dict[str, str] = {}
    done: dict[str, dict[str, str]] = {}
    runs: dict[str, UUID] = {}
    for stage in session.graph:
        if any(parent not in done for parent in stage.parents):
            continue
        record = session.executor.standing(stage, {name: done[name]["key"] for name in stage.parents})
        if record is None:
            continue
        done[stage.name] = reference(record)
        runs[stage.name] = report_cached(context.flow_run.id, stage, record, runs)
        outcomes[stage.name] = CACHED
        session.executor.found(stage, record)
        session.listen({"event": "finished", "stage": stage.name, "cached": True, "seconds": 0.0})
    return outcomes, done


def _outcome(session: Session, stage: Stage, future: PrefectFuture[Any]) -> str:
    future.wait()
    state = future.state
    if state.is_completed():
        # Prefect logs a failed commit and goes on; a stage counts only if the store has its artifact.
        record = session.executor.store.intact(future.result()["key"])
        if record is None:
            return FAILED
        if state.name != "Cached":
            return CACHED if session.executor.was_cached(stage) else DONE
        session.executor.found(stage, record)
        session.listen({"event": "finished", "stage": stage.name, "cached": True, "seconds": 0.0})
        return CACHED
    if state.name == "NotReady":
        session.executor.not_run(stage)
        session.listen({"event": "not run", "stage": stage.name})
        return NOT_RUN
    session.listen(
        {"event": "failed", "stage": stage.name, "message": session.executor.failure(stage) or state.message}
    )
    return FAILED
