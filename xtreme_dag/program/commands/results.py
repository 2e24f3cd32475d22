"""`xtreme-dag results`: rebuild, migrate or merge the results database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xtreme_dag.core.home import Home
from xtreme_dag.program.options import FOLDER, home_option
from xtreme_dag.program.output import Answer, answers

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
@answers
@home_option
def rebuild(home: Home) -> Answer:
    """Make results.duckdb again from the landings and the store; the same rows as before."""
    from xtreme_dag.results import landing

    return _answer(landing.rebuild(home))


@command.command(epilog="Example: xtreme-dag results add /mnt/box2/.xtreme-dag --label box2")
@click.argument("other", type=FOLDER)
@click.option("--label", help="Put before the studies' names, as LABEL:NAME.")
@answers
@home_option
def add(other: Path, label: str | None, home: Home) -> Answer:
    """Land the studies of the home OTHER here too; its artifacts stay where they are."""
    from xtreme_dag.results import landing

    return _answer(landing.add(home, other, label=label))


def _answer(reports: Sequence[LandingReport]) -> Answer:
    lines = [
        f"{r.study}: {'landed' if r.changed else 'unchanged'}, "
        f"{r.evaluations} evaluations, {r.scores} scores, {r.stages} stages"
        for r in reports
    ]
    return Answer(value=[vars(r) for r in reports], text=lines or ["no study has landed yet"])
