"""`xtreme-dag demo`: run the embedded study and show what it finds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

import xtreme_dag
from xtreme_dag.core.home import Home
from xtreme_dag.program.commands import compare, run
from xtreme_dag.program.options import home_option

_STUDY = Path(xtreme_dag.__file__).parent.parent / "studies" / "demo.yaml"

# The effects that the miniworld plants, each with what it is, and then the whole table.
_QUESTIONS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "Inference: English intermediate training must help, with shuffled labels it must not",
        "",
        {"baseline": "none", "conditions": ("english", "shuffled"), "tasks": ("xnli",)},
    ),
    (
        "Inference, in the languages of the mix: a mix helps where it has labels",
        "It was trained on the task in these languages, English alone was not: this is supervision, not transfer.",
        {"conditions": ("mixed",), "tasks": ("xnli",), "languages": ("qad", "qaf", "qag"), "by_language": True},
    ),
    (
        "Inference, in languages that neither was trained on: whether it helps beyond",
        "This is zero-shot transfer. All languages but English mark opposites (the other word with a mark), which English"
        "\nalone cannot teach; what the mix teaches of it, it teaches for Ardish and Keth too. In a world without the mark"
        "\n(run studies/demo.yaml --set model.pretrain.opposites=words) there is no such thing to learn, and Keth stays at chance.",
        {"conditions": ("mixed",), "tasks": ("xnli",), "languages": ("qaa", "qak"), "by_language": True},
    ),
    ("All tasks, against english", "", {}),
)


@click.command()
@home_option
@click.pass_context
def command(context: click.Context, home: Home) -> None:
    """Run studies/demo.yaml on the miniworld: no download, a few minutes; then compare its conditions.

    \b
    Example: xtreme-dag demo
    """
    outcome = run.run_study(home, _STUDY, device="cpu")
    for title, told, question in _QUESTIONS:
        click.echo(f"\n== {title}\n" + (f"{told}\n" if told else ""))
        context.invoke(compare.command, home=home, study="demo", **question)
    counts = ", ".join(f"{count} {name}" for name, count in outcome["stages"].items())
    click.echo(f"\nstages:   {counts} in {outcome['seconds']:.0f} s")
    click.echo(f"report:   {outcome['report']}")
    click.echo(f"database: {outcome['results']}")
    click.echo('ask it:   xtreme-dag sql "SELECT * FROM leaderboard"')
    if outcome["failed"]:
        sys.exit(1)
