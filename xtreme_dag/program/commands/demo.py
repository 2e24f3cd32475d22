"""`xtreme-dag demo`: run the embedded study and show what it finds, on one screen."""

from __future__ import annotations

import sys

import click

from xtreme_dag.core.beside import STUDIES
from xtreme_dag.core.home import Home
from xtreme_dag.program.options import home_option

_STUDY = STUDIES / "demo.yaml"


@click.command()
@home_option
def command(home: Home) -> None:
    """Run studies/demo.yaml on the miniworld: no download, a few minutes; then say what it finds.

    \b
    Example: xtreme-dag demo
    """
    from xtreme_dag.program.running import run_study
    from xtreme_dag.program.screen import screen
    from xtreme_dag.results.compare import compare_conditions
    from xtreme_dag.study.file import load_study

    outcome = run_study(home, _STUDY, device="cpu")
    study = load_study(_STUDY)
    click.echo()
    for line in screen(study.question, compare_conditions(home, study=study.study)):
        click.echo(line)
    counts = ", ".join(f"{count} {name}" for name, count in outcome["stages"].items() if count)
    click.echo(
        f"\nstages:      {counts} in {outcome['seconds']:.0f} s; {len(outcome['warnings'])} warnings in the report"
    )
    click.echo(f"report:      {outcome['report']}")
    click.echo("by language: xtreme-dag compare --study demo --languages")
    click.echo("in SQL:      xtreme-dag sql \"FROM leaderboard WHERE split = 'test'\"")
    if outcome["failed"]:
        sys.exit(1)
