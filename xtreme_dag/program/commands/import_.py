"""`xtreme-dag import`: somebody else's predictions as a condition of a study."""

from __future__ import annotations

from pathlib import Path

import click

from xtreme_dag.core.home import Home
from xtreme_dag.program.commands.shared import json_option, print_json
from xtreme_dag.program.options import home_option

EXAMPLE = """\b
Examples:
  xtreme-dag import --name published ./predictions --study demo
  xtreme-dag compare --study demo --condition published
"""
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(name="import", epilog=EXAMPLE)
@click.option("--name", required=True, help="The condition to be; the same name again replaces it.")
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--study", required=True, help="Name of a study that has run; its test tables are what is compared on.")
@click.option("--labels", type=FOLDER, help="Labels of the same layout (default: those of the study's test tables).")
@click.option("--benchmark", type=click.Choice(["xtreme", "xtreme-r"]),
              help="Default: what metadata.json says, else the study's own.")  # fmt: skip
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Tells several runs apart (default: that of metadata.json if the study has it, else the study's first).",
)
@json_option
@home_option
def command(
    name: str,
    folder: Path,
    study: str,
    labels: Path | None,
    benchmark: str | None,
    seed: int | None,
    as_json: bool,
    home: Home,
) -> None:
    """Land the predictions in DIR (XTREME layout) as condition NAME of a study, example by example.

    `compare`, `sql` and the report then see it; later runs of the study keep it.
    """
    from xtreme_dag.submissions.incoming import import_submission

    done = import_submission(home, folder, study=study, name=name, labels=labels, benchmark=benchmark, seed=seed)
    if as_json:
        print_json(
            {
                "study": done.study,
                "condition": done.condition,
                "benchmark": done.benchmark,
                "seed": done.seed,
                "scores": dict(done.figures),
                "missing": list(done.missing),
                "not_taken": list(done.not_taken),
                "warnings": list(done.warnings),
            }
        )
        return
    for warning in done.warnings:
        click.echo(f"warning: {warning}", err=True)
    for cell, value in done.figures.items():
        click.echo(f"{cell:24}{value:8.2f}")
    click.echo(f"{done.study}: condition {done.condition}, seed {done.seed}: {len(done.figures)} evaluations landed")
    if done.missing:
        click.echo(f"missing, the study has them: {', '.join(done.missing)}")
    if done.not_taken:
        click.echo(f"not taken, the study has no table for them: {', '.join(done.not_taken)}")
