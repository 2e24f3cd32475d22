"""`xtreme-dag import`: land somebody else's predictions as a condition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from xtreme_dag.core.home import Home
from xtreme_dag.program.options import BENCHMARK, FOLDER, home_option
from xtreme_dag.program.output import Answer, answers, table

EXAMPLE = """\b
Examples:
  xtreme-dag import --name published ./predictions --study demo
  xtreme-dag compare --study demo --condition published
"""


@click.command(name="import", epilog=EXAMPLE)
@click.option("--name", required=True, help="The condition to be; the same name again replaces it.")
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--study", required=True, help="Name of a study that has run; its test tables are what is compared on.")
@click.option("--labels", type=FOLDER, help="Labels of the same layout (default: those of the study's test tables).")
@click.option("--benchmark", type=BENCHMARK, help="Default: what metadata.json says, else the study's own.")
@click.option(
    "--seed",
    type=click.IntRange(min=0, max=2**63 - 1),
    help="Tells several runs apart (default: that of metadata.json if the study has it, else the study's first).",
)
@answers
@home_option
def command(folder: Path, home: Home, **chosen: Any) -> Answer:
    """Land the predictions in DIR (XTREME layout) as condition NAME of a study, example by example.

    `compare`, `sql` and the report then see it; later runs of the study keep it.
    """
    from xtreme_dag.submissions.incoming import import_submission

    done = import_submission(home, folder, **chosen)
    value = dict(vars(done))
    value["scores"] = value.pop("figures")
    rows = [[cell, f"{figure:.2f}"] for cell, figure in done.figures.items()]
    lines = [table(["evaluation", "score"], rows, right={1})] if rows else []
    lines.append(f"{done.study}: condition {done.condition}, seed {done.seed}: {len(done.figures)} evaluations landed")
    if done.missing:
        lines.append(f"missing, the study has them: {', '.join(done.missing)}")
    if done.not_taken:
        lines.append(f"not taken, the study has no table for them: {', '.join(done.not_taken)}")
    return Answer(value=value, text=lines, warnings=done.warnings)
