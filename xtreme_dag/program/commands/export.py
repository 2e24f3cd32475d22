"""`xtreme-dag export`: write a submission in the XTREME layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xtreme_dag.core.home import Home
from xtreme_dag.program.options import BENCHMARK, home_option
from xtreme_dag.program.output import Answer, answers

if TYPE_CHECKING:
    from xtreme_dag.submissions.export import Exported

EXAMPLE = """\b
Examples:
  xtreme-dag export --study demo --condition mixed --seed 1 --out submission
  xtreme-dag export --study real --condition mixed --seed 1 --out submission --labels labels
  xtreme-dag score --predictions submission --labels labels --benchmark xtreme-r
"""
_NEW_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(epilog=EXAMPLE)
@click.option("--study", required=True, help="Name of a study that has run.")
@click.option("--condition", required=True, help="One of its conditions.")
@click.option("--seed", required=True, type=int, help="One of its seeds.")
@click.option("--format", "form", type=click.Choice(["xtreme"]), default="xtreme", show_default=True,
              help="The layout: <task>/test-<language>.tsv|json|jsonl and metadata.json.")  # fmt: skip
@click.option("--out", required=True, type=_NEW_FOLDER, help="A new or empty folder.")
@click.option("--benchmark", type=BENCHMARK, help="Default: the study's own.")
@click.option("--labels", type=_NEW_FOLDER, help="Write the labels of the test tables too, to score with.")
@answers
@home_option
def command(form: str, out: Path, home: Home, **chosen: Any) -> Answer:
    """Write the test predictions of one run in the XTREME layout.

    Tasks and languages that the benchmark lists and the run does not have are named, on screen and in metadata.json.
    """
    from xtreme_dag.submissions.export import export_submission

    done = export_submission(home, out, **chosen)
    return Answer(value={**vars(done), "out": out, "format": form}, text=_lines(done, out), warnings=done.warnings)


def _lines(done: Exported, out: Path) -> list[str]:
    lines = [f"{out}: {done.files} files of {done.benchmark}, {done.examples:,} predictions"]
    if done.left_out:
        lines.append(f"left out, {done.benchmark} does not list them: {', '.join(done.left_out)}")
    missing: dict[str, list[str]] = {}
    for path in done.missing:  # xnli/test-de.tsv
        task, _, file = path.partition("/")
        missing.setdefault(task, []).append(file.removeprefix("test-").partition(".")[0])
    return [*lines, *(f"missing: {task}: {', '.join(languages)}" for task, languages in missing.items())]
