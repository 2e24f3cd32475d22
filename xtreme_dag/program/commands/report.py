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
  xtreme-dag report --study demo --figures paper/figures --format pdf
"""


@click.command(epilog=EXAMPLE)
@click.option("--study", help="The study; all of them by default.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file (default: reports/STUDY.html in the home).")  # fmt: skip
@click.option("--figures", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="Write the figures of one study for a paper here, no report.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["svg", "pdf", "png"]), help="Of the figures (default: pdf, which has its fonts in it).")  # fmt: skip
@answers
@home_option
def command(study: str | None, output: Path | None, figures: Path | None, form: str | None, home: Home) -> Answer:
    """Write the results as one HTML file that opens offline.

    The question and the answer, differences with intervals, languages, transfer gap, cost, contracts, provenance. With
    --figures: the forest plot, heat maps, languages of two conditions, transfer gap, learning curves, cost, curves and layers, each as a
    file in print size (5.5 inches wide), without titles, in colours that colour-blind readers tell apart.
    """
    if form is not None and figures is None:
        raise UserError("is the format of figures", where="--format", fix="name their folder: --figures DIR")
    if figures is not None:
        return _figures(study, output, figures, form or "pdf", home)
    from xtreme_dag.report.html import write_report
    from xtreme_dag.results.query import study_names

    names = [study] if study is not None else study_names(home)
    if output is not None and len(names) != 1:
        raise UserError(f"one file for {len(names)} studies", where="-o", fix="name a --study: " + ", ".join(names))
    written = {name: write_report(home, name, output) for name in names}
    return Answer(
        value=[{"study": name, "file": path} for name, path in written.items()], text=map(str, written.values())
    )


def _figures(study: str | None, output: Path | None, folder: Path, form: str, home: Home) -> Answer:
    from xtreme_dag.report.content import read_content
    from xtreme_dag.report.paper import write_figures
    from xtreme_dag.results.query import one_study

    if output is not None:
        raise UserError("is the report's file", where="-o", fix="figures go into the folder of --figures")
    content = read_content(home, one_study(home, study))
    written = write_figures(home, content, folder, form)
    return Answer(value={"study": content.study["study"], "figures": written}, text=map(str, written))
