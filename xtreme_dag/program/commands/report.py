"""`xtreme-dag report`: the results as a page."""

from __future__ import annotations

import json
from pathlib import Path

import click

from xtreme_dag.core.home import Home
from xtreme_dag.program.options import home_option

EXAMPLE = """\b
Examples:
  xtreme-dag report
  xtreme-dag report --study demo -o report.html
"""


@click.command(epilog=EXAMPLE)
@click.option("--study", help="The study; all of them by default.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file (default: reports/STUDY.html in the home).")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Study and file as a list of objects.")
@home_option
def command(study: str | None, output: Path | None, as_json: bool, home: Home) -> None:
    """Write the results as one HTML file that opens offline.

    The question and the answer, differences with intervals, languages, transfer gap, cost, contracts, provenance.
    """
    from xtreme_dag.core.errors import UserError
    from xtreme_dag.report.html import write_report
    from xtreme_dag.results.query import study_names

    names = [study] if study is not None else study_names(home.root)
    if output is not None and len(names) != 1:
        raise UserError(f"one file for {len(names)} studies", where="-o", fix="name a --study: " + ", ".join(names))
    written = {name: write_report(home.root, name, output) for name in names}
    if as_json:
        click.echo(json.dumps([{"study": name, "file": str(path)} for name, path in written.items()]))
        return
    for path in written.values():
        click.echo(path)
