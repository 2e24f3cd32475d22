"""`xtreme-dag run`: does what `plan` says, through Prefect; with nothing to do it starts nothing."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import Any

import click

from xtreme_dag.core.durations import duration
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home, home_option
from xtreme_dag.engine.devices import find_devices
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.store import Store
from xtreme_dag.program.commands.flows import ask_flows
from xtreme_dag.program.commands.plan import made
from xtreme_dag.program.commands.shared import json_option, machine_options, opened, print_json, study_options
from xtreme_dag.program.server import server, wait_recorded
from xtreme_dag.results.stamp import report_path
from xtreme_dag.study.file import Study

_FULL_BYTES = 65_536


@click.command()
@study_options
@click.option(
    "--force",
    "force",
    metavar="STAGE",
    multiple=True,
    help="Run it although it is cached: a name, a kind, or target[*].",
)
@machine_options
@json_option
@home_option
def command(
    study_file: Path, overrides: tuple[str, ...], force: tuple[str, ...], as_json: bool, home: Home, **machine: Any
) -> None:
    """Run whatever of STUDY is not cached, land the results and write the report.

    \b
    Example: xtreme-dag run studies/demo.yaml
             xtreme-dag run studies/demo.yaml --force "target[xnli | mixed | seed 1]"
    """
    settings = {"overrides": list(overrides), "force": list(force), **machine}
    outcome = run_study(home, study_file, settings)
    if as_json:
        print_json({name: value for name, value in outcome.items() if name != "failed"})
    else:
        _print(outcome)
    if outcome["stages"].get("failed") or outcome["stages"].get("not run"):
        sys.exit(1)


def run_study(home: Home, study_file: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Runs a study in a child process that drives Prefect; returns what it did.

    Raises:
        UserError: the study, the home or the machine is not as it should be.
    """
    started = time.monotonic()
    study, built = opened(study_file, tuple(settings["overrides"]))
    home.ensure()
    find_devices(settings["device"])
    plan, current = made(home, study, built, tuple(settings["force"]), remember=True)
    if plan.all_cached and current:
        elsewhere = Mirror.find(settings["mirror"])
        if elsewhere is not None:
            elsewhere.push_all(Store(home.store), (planned.key for planned in plan.stages))
            if elsewhere.trouble:
                click.echo(f"warning: mirror {elsewhere.url}: {elsewhere.trouble}", err=True)
        return _nothing_to_do(home, study, len(plan.stages), time.monotonic() - started)
    try:
        with server(home, lambda line: click.echo(line, err=True)) as api:
            request = {"study_file": str(study_file), "settings": {**settings, "home": str(home.root)}}
            outcome = ask_flows("flows.study", request, home, api)
            wait_recorded(api, outcome.pop("flow_run"), outcome.pop("task_runs"))
    except UserError:
        # Whatever could not be written first (a log, the server's database) is only the messenger.
        if shutil.disk_usage(home.root).free < _FULL_BYTES:
            raise UserError(
                "no space left on the disk", where=str(home.root), fix="free some, or move the home with --home DIR"
            ) from None
        raise
    outcome["seconds"] = round(time.monotonic() - started, 2)
    return outcome


def _nothing_to_do(home: Home, study: Study, stages: int, seconds: float) -> dict[str, Any]:
    return {
        "stages": {"succeeded": 0, "cached": stages, "failed": 0, "not run": 0},
        "failed": {},
        "results": str(home.results),
        "report": str(report_path(home, study)),
        "seconds": round(seconds, 2),
    }


def _print(outcome: dict[str, Any]) -> None:
    counts = outcome["stages"]
    if not any(counts[name] for name in ("succeeded", "failed", "not run")):
        click.echo(f"nothing to do: all {counts['cached']} stages are cached ({duration(outcome['seconds'])})")
    else:
        click.echo(
            f"stages: {', '.join(f'{count} {name}' for name, count in counts.items())} in {duration(outcome['seconds'])}"
        )
    for name, reason in outcome["failed"].items():
        click.echo(f"failed: {name}: {reason}")
    click.echo(f"results: {outcome['results']}")
    click.echo(f"report:  {outcome['report']}")
