"""`xtreme-dag report`: write the HTML report of a study."""

from __future__ import annotations

from pathlib import Path

import click

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.program.options import home_option
from xtreme_dag.program.output import Answer, answers

EXAMPLE = """\b
Examples:
  xtreme-dag report
  xtreme-dag report --study demo -o report.html
"""


@click.command(epilog=EXAMPLE)
@click.option("--study", help="The study; all of them by default.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file (default: reports/STUDY.html in the home).")  # fmt: skip
@answers
@home_option
def command(study: str | None, output: Path | None, home: Home) -> Answer:
    """Write the results as one HTML file that opens offline.

    The question and the answer, differences with intervals, languages, transfer gap, cost, contracts, provenance.
    """
    from xtreme_dag.report.html import write_report
    from xtreme_dag.results.query import study_names

    names = [study] if study is not None else study_names(home.root)
    if output is not None and len(names) != 1:
        raise UserError(f"one file for {len(names)} studies", where="-o", fix="name a --study: " + ", ".join(names))
    written = {name: write_report(home.root, name, output) for name in names}
    return Answer(
        value=[{"study": name, "file": path} for name, path in written.items()], text=map(str, written.values())
    )
