"""Runs a graph in this process without Prefect: for a notebook, a test, or a machine without a server."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from xtreme_dag.errors import UserError
from xtreme_dag.stages.execute import Executor, Result
from xtreme_dag.stages.graph import Graph
from xtreme_dag.stages.ledger import CACHED, DONE, FAILED, NOT_RUN
from xtreme_dag.stages.pool import Listener, StageFailed


def _silent(event: Mapping[str, Any]) -> None:
    """Nobody listens."""


def run_local(graph: Graph, executor: Executor, *, side_by_side: int = 2, listen: Listener = _silent) -> dict[str, str]:
    """Runs every stage as soon as what it needs is there; a failure stops only what depends on it.

    Returns:
        Stage name -> `succeeded`, `cached`, `failed` or `not run`.
    """
    outcomes: dict[str, str] = {}
    running: dict[Future[Result], str] = {}
    waiting = [stage.name for stage in graph]
    with ThreadPoolExecutor(max_workers=side_by_side) as threads:
        while waiting or running:
            for name in list(waiting):
                stage = graph[name]
                before = [outcomes.get(parent) for parent in stage.parents]
                if any(outcome in (FAILED, NOT_RUN) for outcome in before):
                    executor.not_run(stage)
                    outcomes[name] = NOT_RUN
                    waiting.remove(name)
                elif all(before):
                    keys = {parent: executor.known[parent] for parent in stage.parents}
                    running[threads.submit(executor.execute, stage, keys, listen)] = name
                    waiting.remove(name)
            if not running:
                continue
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name = running.pop(future)
                outcomes[name] = _outcome(future)
    return {stage.name: outcomes[stage.name] for stage in graph}


def _outcome(future: Future[Result]) -> str:
    try:
        return CACHED if future.result().cached else DONE
    except (UserError, StageFailed):
        return FAILED
