"""`xtreme-dag export`: a run of a study as a submission."""

from __future__ import annotations

from pathlib import Path

import click

from xtreme_dag.core.home import Home
from xtreme_dag.program.commands.shared import json_option, print_json
from xtreme_dag.program.options import home_option

EXAMPLE = """\b
Examples:
  xtreme-dag export --study demo --condition mixed --seed 1 --out submission
  xtreme-dag export --study real --condition mixed --seed 1 --out submission --labels labels
  xtreme-dag score --predictions submission --labels labels --benchmark xtreme-r
"""
FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(epilog=EXAMPLE)
@click.option("--study", required=True, help="Name of a study that has run.")
@click.option("--condition", required=True, help="One of its conditions.")
@click.option("--seed", required=True, type=int, help="One of its seeds.")
@click.option("--format", "form", type=click.Choice(["xtreme"]), default="xtreme", show_default=True,
              help="The layout: <task>/test-<language>.tsv|json|jsonl and metadata.json.")  # fmt: skip
@click.option("--out", required=True, type=FOLDER, help="A new or empty folder.")
@click.option("--benchmark", type=click.Choice(["xtreme", "xtreme-r"]), help="Default: the study's own.")
@click.option("--labels", type=FOLDER, help="Write the labels of the test tables too, to score with.")
@json_option
@home_option
def command(
    study: str,
    condition: str,
    seed: int,
    form: str,
    out: Path,
    benchmark: str | None,
    labels: Path | None,
    as_json: bool,
    home: Home,
) -> None:
    """Write the test predictions of one run in the XTREME layout.

    Tasks and languages that the benchmark lists and the run does not have are named, on screen and in metadata.json.
    """
    from xtreme_dag.submissions.export import export_submission

    done = export_submission(home, out, study=study, condition=condition, seed=seed, benchmark=benchmark, labels=labels)
    if as_json:
        print_json(
            {
                "out": str(out),
                "format": form,
                "benchmark": done.benchmark,
                "files": done.files,
                "examples": done.examples,
                "missing": list(done.missing),
                "left_out": list(done.left_out),
                "warnings": list(done.warnings),
            }
        )
        return
    for warning in done.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{out}: {done.files} files of {done.benchmark}, {done.examples:,} predictions")
    if done.left_out:
        click.echo(f"left out, {done.benchmark} does not list them: {', '.join(done.left_out)}")
    for task, files in _by_task(done.missing).items():
        click.echo(f"missing: {task}: {', '.join(files)}")


def _by_task(missing: tuple[str, ...]) -> dict[str, list[str]]:
    """`xnli/test-de.tsv` -> `de`, by task."""
    found: dict[str, list[str]] = {}
    for path in missing:
        task, _, file = path.partition("/")
        found.setdefault(task, []).append(file.removeprefix("test-").partition(".")[0])
    return found
