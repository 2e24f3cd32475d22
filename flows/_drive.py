"""Drives a study, or the part of it that a phase needs, inside the current flow."""

from __future__ import annotations

import os
import re
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect.states import Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from pydantic import BaseModel, ConfigDict, Field

from flows._graph import AT_ONCE, run_graph
from tasks._artifacts import show_table
from tasks._stage import Session
from tasks.land import land
from tasks.report import report
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.devices import find_devices
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.ledger import CACHED, DONE, FAILED, NOT_RUN
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.plan import matching
from xtreme_dag.engine.pool import WorkerPool
from xtreme_dag.program.progress import Display
from xtreme_dag.results.stamp import is_published, mark_published, publication, report_path
from xtreme_dag.study.file import Study, load_study
from xtreme_dag.wiring.build import Built, build
from xtreme_dag.wiring.kinds import EVALUATE

_RANDOM_NAME = re.compile(r"[a-z]+-[a-z]+")  # what Prefect calls a run that nobody named


class Settings(BaseModel):
    """How a study is run; nothing here changes a result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: str | None = Field(default=None, description="Folder of all state; default XTREME_DAG_HOME, else .xtreme-dag")
    overrides: list[str] = Field(default_factory=list, description="Study keys to override, each KEY=VALUE")
    force: list[str] = Field(default_factory=list, description="Stages to run although they are cached")
    workers: int = Field(default=0, ge=0, description="Stages side by side; 0 for one per core")
    threads: int = Field(default=1, ge=1, description="Threads of each stage")
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
    cuda: Literal["graphs", "compile", "eager"] = Field(default="graphs", description="Layers on CUDA in training")
    timeout: float | None = Field(default=None, gt=0, description="Seconds that one stage may take")
    mirror: str | None = Field(default=None, description="URL of a mirror of the store; default XTREME_DAG_MIRROR")


def runner() -> TaskRunner[PrefectFuture[Any]]:
    """A thread for each stage that is under way."""
    threads: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=AT_ONCE)
    return threads


def run_name() -> str:
    """The name of the current flow run: flow and study; a name that somebody typed stays.

    Without brackets, which Prefect's own tables take for markup.
    """
    context = FlowRunContext.get()
    assert context is not None and context.flow_run is not None and context.flow is not None
    if not _RANDOM_NAME.fullmatch(context.flow_run.name):
        return context.flow_run.name
    return f"{context.flow.name} {Path(str((context.parameters or {})['study_file'])).stem}"


def drive(study_file: str, settings: Settings, kinds: frozenset[str] = frozenset()) -> dict[str, Any] | State[Any]:
    """Runs a study's stages, lands the results and writes the report.

    Args:
        study_file: path of the YAML file.
        settings: how to run it.
        kinds: only stages of these kinds and what they need; empty for the whole study.

    Returns:
        `stages` (outcome -> count), `failed` (name -> reason), `results`, `report`, `seconds`; with a stage that failed
        as the data of the state `Failed`, in which the flow run then ends.

    Raises:
        UserError: the study or the machine is not as it should be.
    """
    started = time.monotonic()
    study = load_study(Path(study_file), settings.overrides)
    home = Home.find(settings.home).ensure()
    built = build(study)
    graph = built.graph.part({stage.name for stage in built.graph if stage.kind in kinds}) if kinds else built.graph
    forced = frozenset(matching(graph, settings.force)) if settings.force else frozenset()
    devices = find_devices(settings.device)
    mirror = Mirror.find(settings.mirror)
    options = {"threads": settings.threads, "cuda": settings.cuda, "timeout": settings.timeout}
    # Warm workers are shared by all stages; Prefect's threads only wait for them.
    workers = settings.workers or len(os.sched_getaffinity(0))
    with Display(len(graph), quiet=not sys.stderr.isatty() and "PREFECT__FLOW_RUN_ID" in os.environ) as display:
        with WorkerPool(workers, home.logs, threads=settings.threads) as pool:
            executor = Executor(home, study.study, pool, forced=forced, options=options, devices=devices, mirror=mirror)
            with Session(graph, executor, display.listen) as session:
                outcomes = run_graph(session)
                if not kinds or EVALUATE.name in kinds:
                    _publish(session, study, built)
                executor.push_found()
                if trouble := executor.mirror_trouble():
                    display.listen(
                        {"event": "log", "stage": "", "message": f"warning: mirror {settings.mirror}: {trouble}"}
                    )
        executor.save()
    counts = Counter(outcomes.values())
    rows = [{"outcome": name, "stages": counts[name]} for name in (DONE, CACHED, FAILED, NOT_RUN)]
    show_table("outcome", study.study, rows, f"Stages of {study.study}")
    outcome = {
        "stages": {name: counts[name] for name in (DONE, CACHED, FAILED, NOT_RUN)},
        "failed": {name: executor.failure(graph[name]) for name, outcome in outcomes.items() if outcome == FAILED},
        "results": str(home.results),
        "report": str(report_path(home, study)),
        "seconds": round(time.monotonic() - started, 2),
    }
    return Failed(message=_failure(outcome), data=outcome) if counts[FAILED] else outcome


def _failure(outcome: Mapping[str, Any]) -> str:
    """What went wrong in a run, in a line."""
    name, reason = next(iter(outcome["failed"].items()))
    left = f", {outcome['stages'][NOT_RUN]} not run" if outcome["stages"][NOT_RUN] else ""
    return f"{outcome['stages'][FAILED]} failed{left}: {name}: {reason}"


def _publish(session: Session, study: Study, built: Built) -> None:
    """Lands and reports, unless the database already says all of it."""
    executor = session.executor
    artifacts = {
        name: (key, record.digest) for name, key in executor.known.items() if (record := executor.store.read(key))
    }
    identity = publication(study, artifacts, executor.keys)
    evaluated = any(session.graph[name].of is EVALUATE for name in executor.known)
    if not evaluated or is_published(executor.home, study, identity):
        return
    try:
        land.with_options(task_run_name=f"land {study.study}")(session.id, study, built)
        report.with_options(task_run_name=f"report {study.study}")(session.id, study)
    except UserError as error:
        get_run_logger().error("%s", error)
        raise
    mark_published(executor.home, study, identity)
