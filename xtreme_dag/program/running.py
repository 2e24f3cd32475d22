"""Runs a study: the stages that are not cached.

Stages run through Prefect, as `plan` says; with nothing to do no server and no flow is started.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from xtreme_dag.core.disk import full_disk
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.devices import find_devices
from xtreme_dag.engine.dropping import Dropping
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.store import Store
from xtreme_dag.engine.under_way import noted
from xtreme_dag.program.flow_process import ask_flows
from xtreme_dag.program.model_check import looked_over, refuse_faults
from xtreme_dag.program.options import opened
from xtreme_dag.program.planning import made
from xtreme_dag.program.server import starting, wait_recorded
from xtreme_dag.program.tracking import track_study, tracking_uri
from xtreme_dag.program.troubles import troubles
from xtreme_dag.results.stamp import published_lines, report_path
from xtreme_dag.study.file import Study
from xtreme_dag.wiring.build import Built

_FULL_BYTES = 65_536


def run_study(
    home: Home,
    study_file: Path,
    overrides: tuple[str, ...] = (),
    force: tuple[str, ...] = (),
    *,
    device: str = "auto",
    mirror: str | None = None,
    prefect: bool = True,
    track: str | None = None,
    engine: str = "threads",
    **machine: Any,
) -> dict[str, Any]:
    """Runs a study in a child process that drives Prefect, or in this one without it; returns what it did.

    Args:
        home: whose state.
        study_file: the study.
        overrides: of its keys, each KEY=VALUE.
        force: patterns of stages to run although they are cached.
        device: what to compute on.
        mirror: URL of a mirror of the store.
        prefect: record the run on a Prefect server, started if none is configured.
        track: `mlflow:URI`, where the study is logged when it has run.
        engine: what runs the stages.
        machine: other fields of `flows._settings.Settings`.

    Raises:
        UserError: the study, the home or the machine is not as it should be.
    """
    if engine != "threads" and not prefect:
        raise UserError(
            "needs Prefect", where=f"engine {engine!r}", fix="run with a server, or on this machine's threads"
        )
    uri = tracking_uri(track) if track is not None else ""
    study, built = opened(study_file, overrides)
    with noted(home, study.study):
        outcome = _run(home, study_file, study, built, overrides, force, device, mirror, engine, prefect, machine)
    if uri:
        click.echo(f"logging {study.study} to MLflow", err=True)
        if trouble := track_study(home, study.study, uri):
            click.echo(f"warning: {trouble}", err=True)
    return outcome


def _run(
    home: Home,
    study_file: Path,
    study: Study,
    built: Built,
    overrides: tuple[str, ...],
    force: tuple[str, ...],
    device: str,
    mirror: str | None,
    engine: str,
    prefect: bool,
    machine: Mapping[str, Any],
) -> dict[str, Any]:
    """The run itself; see `run_study`."""
    started = time.monotonic()
    home.ensure()
    if engine == "threads":
        find_devices(device)  # those of other machines are theirs to know
    for line in troubles(home):
        click.echo(f"warning: {line}", err=True)
    elsewhere = Mirror.find(mirror)
    # Of a study that ran on other machines, only what was landed is here.
    plan, current = made(home, study, built, force, mirror=None if engine == "threads" else elsewhere, remember=True)
    if plan.all_cached and current:
        if elsewhere is not None:
            elsewhere.push_all(Store(home.store), (planned.key for planned in plan.stages))
            if elsewhere.trouble:
                click.echo(f"warning: mirror {elsewhere.url}: {elsewhere.trouble}", err=True)
        outcome = _nothing_to_do(home, study, len(plan.stages), time.monotonic() - started)
        if study.keep == "scores":
            dropping = Dropping(home, study.study, built.graph)
            outcome["dropped_bytes"] = dropping.all({planned.stage.name: planned.key for planned in plan.stages})
        return outcome
    if not plan.all_cached:
        found = looked_over(home, built, remember=True)
        for finding in found:
            if not finding.fatal:
                click.echo(f"warning: model: {finding}", err=True)
        refuse_faults(found)
    if not prefect:
        from xtreme_dag.program.here import run_here

        outcome = run_here(home, study, built, force, device=device, mirror=mirror, **machine)
        outcome["seconds"] = round(time.monotonic() - started, 2)
        return outcome
    try:
        with starting(home, lambda line: click.echo(line, err=True)) as (api, answers):
            settings = {
                "overrides": overrides,
                "force": force,
                "device": device,
                "mirror": mirror,
                "engine": engine,
                **machine,
            }
            request = {"study_file": str(study_file), "settings": {**settings, "home": str(home.root)}}
            outcome = ask_flows("flows.study", request, home, api, answers)
            flow_run, tasks = outcome.pop("flow_run"), outcome.pop("task_runs")
            if flow_run:
                wait_recorded(api, flow_run, tasks)
            else:
                lost = (
                    f"warning: {api} does not answer any more; the results are complete, its record of this run is not"
                )
                click.echo(lost, err=True)
    except UserError:
        # Whatever could not be written first (a log, the server's database) is only the messenger.
        if shutil.disk_usage(home.root).free < _FULL_BYTES:
            raise full_disk(str(home.root)) from None
        raise
    outcome["seconds"] = round(time.monotonic() - started, 2)
    return outcome


def _nothing_to_do(home: Home, study: Study, stages: int, seconds: float) -> dict[str, Any]:
    return {
        "stages": {"succeeded": 0, "cached": stages, "failed": 0, "not run": 0},
        "failed": {},
        "results": str(home.results),
        "report": str(report_path(home, study)),
        **published_lines(home, study),
        "seconds": round(seconds, 2),
    }
