"""Runs a graph in this process without Prefect: for a notebook, a test, or a machine without a server."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.calls import Listener, StageFailed
from xtreme_dag.engine.dropping import Dropping
from xtreme_dag.engine.execute import Executor, Result
from xtreme_dag.engine.graph import Graph
from xtreme_dag.engine.ledger import CACHED, DONE, FAILED, NOT_RUN
from xtreme_dag.engine.priority import Agenda


def _silent(event: Mapping[str, Any]) -> None:
    """Nobody listens."""


def run_local(
    graph: Graph,
    executor: Executor,
    *,
    side_by_side: int = 2,
    listen: Listener = _silent,
    dropping: Dropping | None = None,
) -> dict[str, str]:
    """Runs every stage as soon as what it needs is there; a failure stops only what depends on it.

    Args:
        graph: the stages.
        executor: of a home.
        side_by_side: how many stages run at once.
        listen: told what becomes of each stage (started, finished, failed, not run) and of its progress.
        dropping: drops what nothing needs any more.

    Returns:
        Stage name -> `succeeded`, `cached`, `failed` or `not run`.
    """
    urgency = executor.urgency(graph)
    agenda = Agenda(graph, urgency)
    outcomes: dict[str, str] = {}
    running: dict[Future[Result], str] = {}
    with ThreadPoolExecutor(max_workers=side_by_side) as threads:
        while agenda or running:
            while agenda and len(running) < side_by_side:
                stage = graph[agenda.take()]
                if any(outcomes[parent] in (FAILED, NOT_RUN) for parent in stage.parents):
                    executor.not_run(stage)
                    outcomes[stage.name] = NOT_RUN
                    listen({"event": "not run", "stage": stage.name})
                    agenda.settle(stage.name)
                    continue
                keys = {parent: executor.known[parent] for parent in stage.parents}
                listen({"event": "started", "stage": stage.name})
                told = partial(_tell, listen, stage.name)
                running[threads.submit(executor.execute, stage, keys, told, urgency[stage.name])] = stage.name
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name = running.pop(future)
                outcomes[name] = _outcome(future)
                listen(
                    {"event": "failed", "stage": name, "message": executor.failure(graph[name])}
                    if outcomes[name] == FAILED
                    else {"event": "finished", "stage": name, "cached": outcomes[name] == CACHED}
                )
                if dropping is not None:
                    dropping.after(name, executor.known)
                agenda.settle(name)
    return {stage.name: outcomes[stage.name] for stage in graph}


def _tell(listen: Listener, stage: str, event: Mapping[str, Any]) -> None:
    """Passes an event on with the stage that it is of."""
    listen({**event, "stage": stage})


def _outcome(future: Future[Result]) -> str:
    try:
        return CACHED if future.result().cached else DONE
    except (UserError, StageFailed):
        return FAILED
