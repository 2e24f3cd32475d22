"""`xtreme-dag score`: score predictions in the XTREME folder layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from xtreme_dag.program.options import BENCHMARK, FOLDER
from xtreme_dag.program.output import Answer, answers

EXAMPLE = """\b
Examples:
  xtreme-dag score --predictions submission --labels labels
  xtreme-dag score --predictions submission --labels labels --benchmark xtreme-r --json
"""


@click.command(epilog=EXAMPLE)
@click.option("--predictions", required=True, type=FOLDER, help="Folder with <task>/test-<language>.tsv|json|jsonl.")
@click.option("--labels", required=True, type=FOLDER, help="Folder of the same layout with the labels.")
@click.option("--benchmark", type=BENCHMARK, default="xtreme", show_default=True)
@answers
def command(predictions: Path, labels: Path, benchmark: str) -> Answer:
    """Score predictions exactly as the official XTREME scorers do.

    Figures are 0-100. Averages that lack a language or a task are marked partial. What the official scorer would pass
    over in silence is a warning; what it would fail on is an error. Oddities of the official rules: docs/fidelity.md.
    """
    from xtreme_dag.submissions.folder import score_folder

    report = score_folder(predictions, labels, benchmark)
    return Answer(value=report, text=_lines(report), warnings=report["warnings"])


def _lines(report: Mapping[str, Any]) -> list[str]:
    """A line per task and language, then the averages, partial ones with a star."""
    lines = []
    averages, partial = report["averages"], report["averages"]["partial"]
    for task, languages in report["tasks"].items():
        names = list(next(iter(languages.values())))
        lines.append(f"{task:12}" + "".join(f"{name:>16}" for name in names))
        lines += [
            f"  {language:10}" + "".join(f"{row[name]:16.2f}" for name in names) for language, row in languages.items()
        ]
        means = averages["tasks"][task]
        star = "*" if f"tasks.{task}" in partial else ""
        lines.append(f"  {'average' + star:10}" + "".join(f"{means[f'avg_{name}']:16.2f}" for name in names) + "\n")
    for title, key in (("official averages", "overall"), ("our averages", "ours")):
        figures = {name: value for name, value in averages[key].items() if not isinstance(value, dict)}
        if figures:
            lines.append(title)
        for name, value in figures.items():
            star = "*" if f"{key}.{name}" in partial else ""
            lines.append(f"  {name + star:32}{value:10.2f}")
    lines.append(averages["definition"])
    if partial:
        lines.append("* partial:")
        lines += [f"  {name} lacks {', '.join(missing)}" for name, missing in partial.items()]
    return lines
