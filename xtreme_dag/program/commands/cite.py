"""`xtreme-dag cite`: print the BibTeX of what a study used."""

from __future__ import annotations

import click

from xtreme_dag.core.home import Home
from xtreme_dag.program.options import home_option
from xtreme_dag.program.output import Answer, answers

EXAMPLE = """\b
Examples:
  xtreme-dag cite > study.bib
  xtreme-dag cite --study real
"""


@click.command(epilog=EXAMPLE)
@click.option("--study", help="The study; not needed if there is one only.")
@answers
@home_option
def command(study: str | None, home: Home) -> Answer:
    """Print the BibTeX of every dataset, model and method that a study used.

    The catalogue has most references in short; a note in the entry says what is to be completed or checked. What has no
    reference there is a comment.
    """
    from xtreme_dag.report.references import bibtex, references
    from xtreme_dag.results.query import one_study

    found = references(home, one_study(home, study))
    return Answer(
        value={"entries": [vars(one) for one in found.entries], "notes": found.notes}, text=[bibtex(found).rstrip()]
    )
