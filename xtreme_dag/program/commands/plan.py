"""`xtreme-dag plan`: what a run of a study would do, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from xtreme_dag.core.home import Home
from xtreme_dag.program.options import force_option, home_option, mirror_option, study_options
from xtreme_dag.program.output import Answer, answers


@click.command()
@study_options
@force_option
@click.option("--all", "everything", is_flag=True, help="List cached stages too.")
@click.option(
    "--power",
    "with_power",
    is_flag=True,
    help="Say too which true differences the study would find, and with how many seeds.",
)
@click.option(
    "--pilot", help="With --power: the finished study whose variance is taken (default: this one, or the only one)."
)
@click.option(
    "--accuracy",
    type=click.FloatRange(0, 100, min_open=True, max_open=True),
    help="With --power and --seed-spread, instead of a pilot: the accuracy that is expected, in percent.",
)
@click.option(
    "--seed-spread",
    type=click.FloatRange(0),
    help="With --accuracy: standard deviation of a task's score over seeds, in points.",
)
@mirror_option
@answers
@home_option
def command(
    study_file: Path,
    overrides: tuple[str, ...],
    force: tuple[str, ...],
    with_power: bool,
    pilot: str | None,
    accuracy: float | None,
    seed_spread: float | None,
    home: Home,
    **options: Any,
) -> Answer:
    """Say for each stage of STUDY whether it is cached, stale, new, waiting or failed, and why.

    Then what each condition trains on, in which tested languages it is trained on the task itself, where a comparison differs in more than one factor, and what it would cost.
    Data and models that are missing are named; nothing is fetched.

    \b
    Examples:
      xtreme-dag plan studies/demo.yaml --set seeds=[1,2,3,4]
      xtreme-dag plan studies/demo.yaml --power --accuracy 70 --seed-spread 1
    """
    if (accuracy is None) != (seed_spread is None) or (pilot and accuracy is not None):
        raise click.UsageError("--accuracy and --seed-spread go together, instead of --pilot")
    if not with_power and (pilot or accuracy is not None):
        raise click.UsageError("--pilot, --accuracy and --seed-spread need --power")
    from xtreme_dag.program.planning import planned

    return planned(
        home, study_file, overrides, force, with_power=with_power, pilot=pilot, accuracy=accuracy,
        seed_spread=seed_spread, **options,
    )  # fmt: skip
