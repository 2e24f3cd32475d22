"""`xtreme-dag deploy`: put a study's flows on a Prefect server, with a schedule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.program.flow_process import ask_flows
from xtreme_dag.program.health import server_health
from xtreme_dag.program.options import home_option, machine_options, opened, study_options
from xtreme_dag.program.output import Answer, answers
from xtreme_dag.program.server import configured_api


@click.command()
@study_options
@click.option(
    "--pool", default="xtreme-dag", show_default=True, help="Work pool; made, of processes, if there is none."
)
@click.option("--cron", help='When to run the whole study: "0 2 * * *". Default: no schedule.')
@click.option("--timezone", default="UTC", show_default=True, help="Time zone of --cron: Europe/Zurich.")
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="How often a run that failed, or whose machine is gone, starts again.",
)
@machine_options
@answers
@home_option
def command(
    study_file: Path,
    overrides: tuple[str, ...],
    pool: str,
    cron: str | None,
    timezone: str,
    retries: int,
    home: Home,
    **machine: Any,
) -> Answer:
    """Put STUDY's flows on the configured Prefect server, where its UI can start and schedule them.

    \b
    Example: xtreme-dag deploy studies/demo.yaml --cron "0 2 * * *"
             prefect worker start --pool xtreme-dag
    """
    study, _built = opened(study_file, overrides)
    api = configured_api()
    if not api:
        raise UserError(
            "no Prefect API is configured",
            where="deploy",
            fix="prefect server start, then prefect config set PREFECT_API_URL=<its URL>/api",
        )
    settings = {"overrides": list(overrides), "home": str(home.ensure().root.absolute()), **machine}
    request = {
        "study": study.study,
        "study_file": str(study_file.absolute()),
        "settings": settings,
        "pool": pool,
        "cron": cron or "",
        "timezone": timezone,
        "retries": retries,
        "folder": str(Path.cwd()),
    }
    outcome = ask_flows("flows._deploy", request, home, api)
    try:
        health = server_health(api)
    except UserError as error:
        health = f"warning: {' '.join(str(error).split())}"
    new = "new " if outcome["created"] else ""
    when = f" ({cron}, {timezone})" if cron else ""
    return Answer(
        value={**outcome, "api": api, "health": health},
        text=[
            *(f"deployed {name}{when if name.startswith('study/') else ''}" for name in outcome["deployments"]),
            f"on {health}",
            f"{new}work pool {outcome['pool']} ({outcome['pool_type']})",
            f"a worker: prefect worker start --pool {outcome['pool']}",
            f"a run:    prefect deployment run {outcome['deployments'][0]}",
        ],
    )
