"""`xtreme-dag curves`: how trainings went, for TensorBoard."""

from __future__ import annotations

from pathlib import Path

import click

from xtreme_dag.core.home import Home
from xtreme_dag.program.options import home_option
from xtreme_dag.program.output import Answer, answers

EXAMPLE = """\b
Examples:
  xtreme-dag curves export --tensorboard runs
  xtreme-dag sql "SELECT * FROM training_curves WHERE measure = 'loss'"
"""


@click.group(name="curves", epilog=EXAMPLE)
def command() -> None:
    """How trainings went: loss, looks at dev, tokens per second, memory, over the optimizer steps.

    The report draws them, the table `training_curves` has every point; `run --track` logs them to MLflow.
    """


@command.command(epilog="Example: xtreme-dag curves export --study demo --tensorboard runs")
@click.option("--study", help="The study; all of them by default.")
@click.option(
    "--tensorboard",
    "folder",
    required=True,
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write event files for TensorBoard: DIR/STUDY/TRAINING/CONDITION/seed-N.",
)
@answers
@home_option
def export(study: str | None, folder: Path, home: Home) -> Answer:
    """Write the curves that have landed as files; exported again, they replace themselves."""
    from xtreme_dag.program.curve_files import write_tensorboard

    written = write_tensorboard(home, study, folder)
    points = sum(written.values())
    return Answer(
        value=[{"folder": str(path), "points": count} for path, count in written.items()],
        text=[f"{folder}: {points:,} points of {len(written)} trainings; tensorboard --logdir {folder} shows them"],
    )
