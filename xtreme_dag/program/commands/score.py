"""`xtreme-dag score`: score predictions in the XTREME folder layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from xtreme_dag.program.options import BENCHMARK, FOLDER
from xtreme_dag.program.output import Answer, answers, table

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
    """A table for each task, then the averages; partial ones have a star."""
    lines = []
    averages, partial = report["averages"], report["averages"]["partial"]

    def starred(name: str, key: str) -> str:
        return f"{name}*" if key in partial else name

    for task, languages in report["tasks"].items():
        names = list(next(iter(languages.values())))
        rows = [[language, *(f"{row[name]:.2f}" for name in names)] for language, row in languages.items()]
        means = [f"{averages['tasks'][task][f'avg_{name}']:.2f}" for name in names]
        rows.append([starred("average", f"tasks.{task}"), *means])
        lines += [table([task, *names], rows, right=range(1, len(names) + 1)), ""]
    for title, key in (("official averages", "overall"), ("our averages", "ours")):
        figures = {name: value for name, value in averages[key].items() if not isinstance(value, dict)}
        rows = [[starred(name, f"{key}.{name}"), f"{value:.2f}"] for name, value in figures.items()]
        lines += [table([title, ""], rows, right={1}), ""] if rows else []
    lines.append(averages["definition"])
    if partial:
        lines.append("* partial:")
        lines += [f"  {name} lacks {', '.join(missing)}" for name, missing in partial.items()]
    return lines
