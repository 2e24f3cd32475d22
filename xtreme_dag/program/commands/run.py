"""`xtreme-dag run`: run the stages of a study that are not cached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from xtreme_dag.core.durations import duration
from xtreme_dag.core.home import Home
from xtreme_dag.core.sizes import gigabytes
from xtreme_dag.program.options import force_option, home_option, machine_options, study_options
from xtreme_dag.program.output import Answer, answers

_SHOWN = 12  # warnings that are printed


@click.command()
@study_options
@force_option
@machine_options
@click.option("--track", metavar="mlflow:URI", help="Log the study to MLflow too: a server, or mlflow:sqlite:///FILE.")
@answers
@home_option
def command(study_file: Path, overrides: tuple[str, ...], force: tuple[str, ...], home: Home, **machine: Any) -> Answer:
    """Run whatever of STUDY is not cached, land the results and write the report.

    \b
    Example: xtreme-dag run studies/demo.yaml
             xtreme-dag run studies/demo.yaml --force "target[xnli | mixed | seed 1]"
    """
    from xtreme_dag.program.running import run_study

    outcome = run_study(home, study_file, overrides, force, **machine)
    return Answer(
        value={name: value for name, value in outcome.items() if name != "failed"},
        text=_lines(outcome),
        ok=not outcome["stages"].get("failed") and not outcome["stages"].get("not run"),
    )


def _lines(outcome: dict[str, Any]) -> list[str]:
    counts, took = outcome["stages"], duration(outcome["seconds"])
    if any(counts[name] for name in ("succeeded", "failed", "not run")):
        first = f"stages: {', '.join(f'{count} {name}' for name, count in counts.items())} in {took}"
    else:
        first = f"nothing to do: all {counts['cached']} stages are cached ({took})"
    return [
        first,
        *_failures(outcome["failed"]),
        *(f"warning: {line}" for line in outcome["warnings"][:_SHOWN]),
        *_more(len(outcome["warnings"]) - _SHOWN),
        *(
            [f"dropped: {gigabytes(outcome['dropped_bytes'])} of weights (keep: scores)"]
            if outcome.get("dropped_bytes")
            else []
        ),
        *outcome["answer"],
        f"results: {outcome['results']}",
        f"report:  {outcome['report']}",
    ]


def _more(number: int) -> Iterator[str]:
    if number > 0:
        yield f"warning: {number} more: xtreme-dag sql 'FROM warnings'"


def _failures(failed: Mapping[str, str]) -> Iterator[str]:
    """Why stages failed: a line for each reason, with the number of stages that it stopped."""
    stages: dict[str, list[str]] = {}
    for name, reason in failed.items():
        stages.setdefault(reason, []).append(name)
    for reason, names in stages.items():
        yield f"failed: {names[0] if len(names) == 1 else f'{len(names)} stages, as {names[0]}'}: {reason}"
