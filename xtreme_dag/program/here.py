"""Runs a study in this process without Prefect: the same stages, rows and report, no record on a server."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from xtreme_dag.core.home import Home
from xtreme_dag.engine.devices import find_devices
from xtreme_dag.engine.dropping import Dropping
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.ledger import CACHED, DONE, FAILED, NOT_RUN
from xtreme_dag.engine.local import run_local
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.plan import matching
from xtreme_dag.engine.pool import WorkerPool
from xtreme_dag.program.progress import Display
from xtreme_dag.program.publish import land_study, to_publish, write_study_report
from xtreme_dag.results.stamp import mark_published, published_lines, report_path
from xtreme_dag.results.warnings import line, warnings_of
from xtreme_dag.study.file import Study
from xtreme_dag.wiring.build import Built
from xtreme_dag.wiring.kinds import doings

# How long a training has for a last checkpoint when the run is interrupted.
_GRACE_SECONDS = 150.0


def run_here(
    home: Home,
    study: Study,
    built: Built,
    force: tuple[str, ...] = (),
    *,
    device: str = "auto",
    mirror: str | None = None,
    workers: int = 0,
    threads: int = 1,
    timeout: float | None = None,
    checkpoint: float = 300.0,
    cuda: str = "graphs",
) -> dict[str, Any]:
    """Runs what is not cached, lands the results and writes the report; see `flows._drive.drive` for what it returns.

    Args:
        home: whose state; its folders are there.
        study: the study.
        built: its graph.
        force: patterns of stages to run although they are cached.
        device: what to compute on.
        mirror: URL of a mirror of the store.
        workers: stages side by side; 0 for one per core.
        threads: of each stage.
        timeout: seconds that one stage may take.
        checkpoint: seconds between two checkpoints of a training.
        cuda: layers on CUDA in training: `graphs`, `compile` or `eager`.

    Raises:
        UserError: the results cannot be landed.
    """
    graph = built.graph
    side_by_side = workers or len(os.sched_getaffinity(0))
    options = {"threads": threads, "cuda": cuda, "timeout": timeout, "checkpoint_seconds": checkpoint}
    elsewhere = Mirror.find(mirror)
    dropping = Dropping(home, study.study, graph) if study.keep == "scores" else None
    with (
        Display(doings(graph)) as display,
        WorkerPool(side_by_side, home.logs, threads=threads, grace=_GRACE_SECONDS) as pool,
    ):
        executor = Executor(
            home, study.study, pool, forced=frozenset(matching(graph, force)) if force else frozenset(),
            options=options, devices=find_devices(device), mirror=elsewhere,
        )  # fmt: skip
        outcomes = run_local(graph, executor, side_by_side=side_by_side, listen=display.listen, dropping=dropping)
        if identity := to_publish(executor, study, graph):
            land_study(home, study, built, executor.known)
            _path, short = write_study_report(home, study)
            warnings = [line(row) for row in warnings_of(home, study.study)]
            mark_published(home, study, identity, warnings, short.answer)
        executor.push_found()
        if elsewhere is not None and elsewhere.trouble:
            display.listen({"event": "log", "message": f"warning: mirror {elsewhere.url}: {elsewhere.trouble}"})
        executor.save()
    counts = Counter(outcomes.values())
    outcome: dict[str, Any] = {
        "stages": {name: counts[name] for name in (DONE, CACHED, FAILED, NOT_RUN)},
        "failed": {name: executor.failure(graph[name]) for name, became in outcomes.items() if became == FAILED},
        "results": str(home.results),
        "report": str(report_path(home, study)),
        **published_lines(home, study),
    }
    if dropping is not None:
        outcome["dropped_bytes"] = dropping.freed
    return outcome
