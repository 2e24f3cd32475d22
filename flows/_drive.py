"""Drives a study, or the part of it that a phase needs, inside the current flow."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect.states import Cancelled, Completed, Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows._alive import Watch, alive, current_run
from flows._automations import too_often
from flows._elsewhere import Elsewhere
from flows._engines import THREADS, engine_of
from flows._graph import AT_ONCE, run_graph
from flows._overview import Overview
from flows._settings import Settings
from tasks._artifacts import show_table
from tasks._server import REFUSALS, answers, server_client
from tasks._stage import Session
from tasks.land import land
from tasks.report import report
from xtreme_dag.catalogue import own
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.devices import find_devices
from xtreme_dag.engine.dropping import Dropping
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.ledger import CACHED, DONE, FAILED, NOT_RUN
from xtreme_dag.engine.mirror import BRIEFLY, LONG, Mirror
from xtreme_dag.engine.plan import matching
from xtreme_dag.engine.pool import WorkerPool
from xtreme_dag.program.progress import Display
from xtreme_dag.program.publish import to_publish
from xtreme_dag.results.stamp import mark_published, published_lines, report_path
from xtreme_dag.results.warnings import line, warnings_of
from xtreme_dag.study.file import Study, load_study
from xtreme_dag.wiring.build import Built, build
from xtreme_dag.wiring.kinds import EVALUATE, doings

# Takes the outcome of a run whose server is gone at its end, and does not come back. By default the run waits for the
# server, as Prefect's clients do: a scheduled run without its end would be taken for dead.
without_server: Callable[[dict[str, Any]], None] | None = None

# How long trainings have for a last checkpoint when a run is told to end. Prefect's workers kill a run after 30 s.
_GRACE_SECONDS, _WORKER_GRACE_SECONDS = 150.0, 25.0
_SAID = 5  # warnings that the state of a flow run names
_LONGEST_NAME = 160  # a file system takes 255 bytes, and what is made of the name has endings
_RANDOM_NAME = re.compile(r"[a-z]+-[a-z]+")  # what Prefect calls a run that nobody named


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
        `stages` (outcome -> count), `failed` (name -> reason), `results`, `report`, `answer`, `warnings`, `seconds`; with a stage that failed
        as the data of the state `Failed`, in which the flow run then ends, or `Cancelled` if somebody cancelled it.

    Raises:
        UserError: the study or the machine is not as it should be.
        Pause: somebody suspended the run.
    """
    started = time.monotonic()
    if _given_up():
        return Failed(message="its process was gone again, and it was started again as often as it may be")
    own.look("home", Home.find(settings.home).root)
    own.look("here", Path.cwd())
    study = _studied(Path(study_file), settings.overrides)
    home = Home.find(settings.home).ensure()
    built = build(study)
    graph = built.graph.part({stage.name for stage in built.graph if stage.kind in kinds}) if kinds else built.graph
    forced = frozenset(matching(graph, settings.force)) if settings.force else frozenset()
    spread = settings.engine != THREADS
    devices = ("cpu",) if spread else find_devices(settings.device)
    mirror = Mirror.find(settings.mirror, LONG if spread else BRIEFLY)
    options = {
        "threads": settings.threads,
        "cuda": settings.cuda,
        "timeout": settings.timeout,
        "checkpoint_seconds": settings.checkpoint,
    }
    grace = _GRACE_SECONDS if current_run().deployment_id is None else _WORKER_GRACE_SECONDS
    # Warm workers are shared by all stages; Prefect's threads only wait for them.
    workers = settings.workers or len(os.sched_getaffinity(0))
    with Display(doings(graph), quiet=not sys.stderr.isatty() and "PREFECT__FLOW_RUN_ID" in os.environ) as display:
        with (
            WorkerPool(workers, home.logs, threads=settings.threads, grace=grace) as pool,
            alive(home),
            Watch(pool.close, pool.pause) as watch,
        ):
            executor = Executor(home, study.study, pool, forced=forced, options=options, devices=devices, mirror=mirror)
            dropping = Dropping(home, study.study, built.graph) if study.keep == "scores" else None
            with Session(graph, executor, display.listen, dropping, watch.boundary) as session:
                if spread:
                    outcomes = _spread(session, settings, mirror, options, workers)
                else:
                    with Overview(session, lambda: workers):
                        outcomes = run_graph(session)
                if not watch.cancelled and (not kinds or EVALUATE.name in kinds):
                    _publish(session, study, built)
                executor.push_found()
                if mirror is not None and mirror.trouble:
                    told = f"warning: mirror {mirror.url}: {mirror.trouble}"
                    display.listen({"event": "log", "stage": "", "message": told})
        executor.save()
    counts = Counter(outcomes.values())
    said = published_lines(home, study)
    warnings = said["warnings"]
    outcome: dict[str, Any] = {
        "stages": {name: counts[name] for name in (DONE, CACHED, FAILED, NOT_RUN)},
        "failed": {
            name: executor.failure(graph[name]) or "the run was stopped"
            for name, became in outcomes.items()
            if became == FAILED
        },
        "results": str(home.results),
        "report": str(report_path(home, study)),
        **said,
        "seconds": round(time.monotonic() - started, 2),
    }
    if dropping is not None:
        outcome["dropped_bytes"] = dropping.freed
    if without_server and not answers():
        without_server(outcome)
    rows = [{"outcome": name, "stages": count} for name, count in outcome["stages"].items()]
    show_table("outcome", study.study, rows, f"Stages of {study.study}")
    if watch.cancelled:
        return Cancelled(message="cancelled in Prefect; what was done stays done", data=outcome)
    if counts[FAILED]:
        return Failed(message=_failure(outcome), data=outcome)
    return Completed(message=_warned(warnings), data=outcome) if warnings else outcome


def _warned(warnings: Sequence[str]) -> str:
    """The warnings of a run that is done, in a line."""
    more = f"; and {len(warnings) - _SAID} more" if len(warnings) > _SAID else ""
    return f"done, with warnings: {'; '.join(warnings[:_SAID])}{more}"


def _spread(
    session: Session, settings: Settings, mirror: Mirror | None, options: Mapping[str, Any], workers: int
) -> dict[str, str]:
    """Runs the stages on the machines of an engine."""
    run = str(current_run().id)
    with (
        engine_of(settings.engine, settings.address, workers, settings.threads) as engine,
        Elsewhere(session, engine, mirror, options=options, device=settings.device, run=run) as place,
        Overview(session, lambda: engine.places()[0], mirror),
    ):
        outcomes = run_graph(session, place)
        place.brought()
        return outcomes


def _given_up() -> bool:
    """Whether the automation that starts crashed runs again has done so too often."""
    run, context = current_run(), FlowRunContext.get()
    assert context is not None and context.flow is not None
    if run.run_count <= 1:
        return False
    with suppress(*REFUSALS), server_client() as client:
        return too_often(client, run.id, context.flow.retries)
    return False


def _studied(path: Path, overrides: Sequence[str]) -> Study:
    """The study, under a name of its own if a deployment's overrides change results: never over the study's figures."""
    study = load_study(path, overrides)
    if not overrides or current_run().deployment_id is None:
        return study
    plain = load_study(path, [])
    if study.study != plain.study or _results(study) == _results(plain):
        return study
    return study.model_copy(update={"study": own_name(study.study, overrides)})


def own_name(study: str, overrides: Sequence[str]) -> str:
    """The name of a study with overrides: it says them, and is one of files, too."""
    name = "+".join([study, *map(_label, overrides)])
    if len(name) <= _LONGEST_NAME:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{name[: _LONGEST_NAME - len(mark) - 1]}+{mark}"


def _results(study: Study) -> list[tuple[Any, ...]]:
    """What a study's results depend on."""
    return [(stage.name, stage.function, stage.params, stage.inputs) for stage in build(study).graph]


def _label(override: str) -> str:
    """An override as a part of a study's name, which is one of files, too; what had to be changed has a digest."""
    plain = re.sub(r"[^a-z0-9_.=]+", "-", override.lower()).strip("-")[:60]
    return plain if plain == override else f"{plain}-{hashlib.sha256(override.encode()).hexdigest()[:6]}"


def _failure(outcome: Mapping[str, Any]) -> str:
    """What went wrong in a run, in a line."""
    name, reason = next(iter(outcome["failed"].items()))
    left = f", {outcome['stages'][NOT_RUN]} not run" if outcome["stages"][NOT_RUN] else ""
    return f"{outcome['stages'][FAILED]} failed{left}: {name}: {reason}"


def _publish(session: Session, study: Study, built: Built) -> None:
    """Lands and reports, unless the database already says all of it."""
    executor = session.executor
    identity = to_publish(executor, study, session.graph)
    if not identity:
        return
    try:
        land.with_options(task_run_name=f"land {study.study}")(session.id, study, built)
        answer = report.with_options(task_run_name=f"report {study.study}")(session.id, study)
    except UserError as error:
        get_run_logger().error("%s", error)
        raise
    warnings = [line(row) for row in warnings_of(executor.home, study.study)]
    mark_published(executor.home, study, identity, warnings, answer)
