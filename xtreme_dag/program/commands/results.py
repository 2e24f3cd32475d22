"""`xtreme-dag results`: look after the results database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xtreme_dag.core.home import Home
from xtreme_dag.program.options import home_option

if TYPE_CHECKING:
    from xtreme_dag.results.facts import LandingReport

EXAMPLE = """\b
Examples:
  xtreme-dag results rebuild
  xtreme-dag results add /mnt/box2/.xtreme-dag --label box2
"""


@click.group(name="results", epilog=EXAMPLE)
def command() -> None:
    """Rebuild the results database, or add another machine's results to it."""


@command.command(epilog="Example: xtreme-dag results rebuild")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per study.")
@home_option
def rebuild(as_json: bool, home: Home) -> None:
    """Make results.duckdb again from the landings and the store; the same rows as before."""
    from xtreme_dag.results import landing

    _print(landing.rebuild(home.root), as_json)


@command.command(epilog="Example: xtreme-dag results add /mnt/box2/.xtreme-dag --label box2")
@click.argument("other", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--label", help="Put before the studies' names, as LABEL:NAME.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per study.")
@home_option
def add(other: Path, label: str | None, as_json: bool, home: Home) -> None:
    """Land the studies of the home OTHER here too; its artifacts stay where they are."""
    from xtreme_dag.results import landing

    _print(landing.add(home.root, other, label=label), as_json)


def _print(reports: Sequence[LandingReport], as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "study": r.study,
                "changed": r.changed,
                "evaluations": r.evaluations,
                "scores": r.scores,
                "stages": r.stages,
            }
            for r in reports
        ]
        click.echo(json.dumps(rows))
        return
    for r in reports:
        state = "landed" if r.changed else "unchanged"
        click.echo(f"{r.study}: {state}, {r.evaluations} evaluations, {r.scores} scores, {r.stages} stages")
    if not reports:
        click.echo("no study has landed yet")
