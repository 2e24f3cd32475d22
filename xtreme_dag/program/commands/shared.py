"""Options and first steps that commands on a study share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from xtreme_dag.engine.mirror import mirror_option
from xtreme_dag.study.file import Study, load_study
from xtreme_dag.wiring.build import Built, build


def study_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the study file and `--set KEY=VALUE` to a command: `study_file: Path`, `overrides: tuple[str, ...]`."""
    command = click.option(
        "--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a study key, dotted: seeds=[1,2]."
    )(command)
    return click.argument("study_file", metavar="STUDY", type=click.Path(path_type=Path))(command)


def machine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds how a study is run: `workers: int` (0: one per core), `threads`, `device`, `cuda`, `timeout`, `mirror`."""
    for option in (
        mirror_option,
        click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds that one stage may take."),
        click.option(
            "--cuda",
            type=click.Choice(["graphs", "compile", "eager"]),
            default="graphs",
            show_default=True,
            help="Layers on CUDA in training: recorded and replayed, compiled, or as they are.",
        ),
        click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."),
        click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads of a stage."),
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            callback=lambda _context, _option, value: value or 0,
            help="Stages side by side (default: one per core).",
        ),
    ):
        command = option(command)
    return command


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--json`: `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(command)


def opened(study_file: Path, overrides: tuple[str, ...]) -> tuple[Study, Built]:
    """Reads a study and builds its graph.

    Raises:
        UserError: the file, a key, or the data are not as they should be.
    """
    study = load_study(study_file, overrides)
    return study, build(study)


def print_json(value: Any) -> None:
    """Prints one JSON document."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=1))
