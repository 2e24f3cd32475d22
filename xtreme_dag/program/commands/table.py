"""`xtreme-dag table`: write a table for a paper (LaTeX, Markdown, CSV)."""

from __future__ import annotations

from pathlib import Path

import click

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import write_atomically
from xtreme_dag.core.home import Home
from xtreme_dag.program.options import home_option

EXAMPLE = """\b
Examples:
  xtreme-dag table leaderboard --format latex -o leaderboard.tex
  xtreme-dag table leaderboard --spread --format latex
  xtreme-dag table compare --study demo --format markdown
  xtreme-dag table per-language --format csv --digits 2
"""


@click.command(epilog=EXAMPLE)
@click.argument(
    "name", metavar="TABLE", type=click.Choice(["leaderboard", "compare", "per-language", "learning-curves"])
)
@click.option(
    "--format", "form", type=click.Choice(["latex", "markdown", "csv"]), default="markdown", show_default=True
)
@click.option("--study", help="The study; not needed if there is one only.")
@click.option("--digits", type=click.IntRange(0, 6), default=1, show_default=True, help="Decimals of scores.")
@click.option("--spread", is_flag=True, help="leaderboard: +- the standard deviation over seeds beside each mean.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write here instead of stdout.")
@home_option
def command(
    name: str, form: str, study: str | None, digits: int, spread: bool, output: Path | None, home: Home
) -> None:
    """Write a TABLE for a paper: leaderboard, compare, per-language or learning-curves.

    LaTeX uses booktabs. The best of a column (of a line, by language) is bold; the caption says what the marks mean.
    Intervals and verdicts are those of `compare`. In CSV they are columns of their own.
    """
    from xtreme_dag.report.content import read_content
    from xtreme_dag.report.paper_tables import TABLES, leaderboard
    from xtreme_dag.report.table_forms import written
    from xtreme_dag.results.query import one_study

    content = read_content(home, one_study(home, study))
    if spread and name != "leaderboard":
        raise click.UsageError("--spread is for the leaderboard; per-language has it, compare has intervals")
    if spread and all(not one["seed_sd"].get("average") for one in content.conditions):
        raise UserError("a spread over seeds needs two seeds", where=f"study {content.study['study']}", fix="leave out --spread")  # fmt: skip
    table = leaderboard(content, digits, spread) if spread else TABLES[name](content, digits)
    if not table.rows:
        fixes = {"learning-curves": "it needs a condition with `target: {examples: {LANGUAGE: NUMBER}}`"}
        fix = fixes.get(name, "it needs two conditions with scores, its baseline one of them")
        raise UserError("there is nothing to compare", where=f"study {content.study['study']}", fix=fix)
    text = written(table, form, digits)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_atomically(output, text)
