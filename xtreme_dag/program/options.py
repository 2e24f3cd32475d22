"""Options that several commands share: the home, a study, the machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import DEFAULT, VARIABLE, Home
from xtreme_dag.core.urls import has_password
from xtreme_dag.engine.mirror import VARIABLE as MIRROR

if TYPE_CHECKING:
    from xtreme_dag.study.file import Study
    from xtreme_dag.wiring.build import Built

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
BENCHMARK = click.Choice(["xtreme", "xtreme-r"])

# `home: Home`
home_option = click.option(
    "--home",
    metavar="DIR",
    callback=lambda _context, _option, value: Home.find(value),
    help=f"Where all state is kept (default ${VARIABLE}, else ./{DEFAULT}).",
)


def _without_password(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """A mirror's URL to be handed on; one with a password stays in the environment, where processes find it themselves."""
    if value is None or not has_password(value):
        return value
    if context.get_parameter_source(option.name or "") is ParameterSource.ENVIRONMENT:
        return None
    raise UserError(
        "names a password", where="--mirror", fix=f"put the URL, or the store's keys, into the environment ({MIRROR})"
    )


# `mirror: str | None`
mirror_option = click.option(
    "--mirror",
    metavar="URL",
    envvar=MIRROR,
    callback=_without_password,
    help=f"A store elsewhere to pull from and push to: s3://bucket/folder, a shared folder (default ${MIRROR}).",
)

# `force: tuple[str, ...]`
force_option = click.option(
    "--force", metavar="STAGE", multiple=True, help="Run it although it is cached: a name, a kind, or target[*]."
)

# `device: str`, `threads: int`
device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
threads_option = click.option(
    "--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads of a stage."
)


def study_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the study file and `--set KEY=VALUE` to a command: `study_file: Path`, `overrides: tuple[str, ...]`."""
    command = click.option(
        "--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a study key, dotted: seeds=[1,2]."
    )(command)
    return click.argument("study_file", metavar="STUDY", type=click.Path(path_type=Path))(command)


def machine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds how a study is run: `workers: int` (0: one per core), `threads`, `device`, `cuda`, `timeout`, `checkpoint`,
    `mirror`.
    """
    for option in (
        mirror_option,
        click.option(
            "--checkpoint",
            metavar="SECONDS",
            type=click.FloatRange(min=0, min_open=True),
            default=300.0,
            show_default=True,
            help="Time between two checkpoints of a training.",
        ),
        click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds that one stage may take."),
        click.option(
            "--cuda",
            type=click.Choice(["graphs", "compile", "eager"]),
            default="graphs",
            show_default=True,
            help="Layers on CUDA in training: recorded and replayed, compiled, or as they are.",
        ),
        device_option,
        threads_option,
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            callback=lambda _context, _option, value: value or 0,
            help="Stages side by side (default: one per core).",
        ),
    ):
        command = option(command)
    return command


def opened(study_file: Path, overrides: tuple[str, ...]) -> tuple[Study, Built]:
    """Reads a study and builds its graph.

    Raises:
        UserError: the file, a key, or the data are not as they should be.
    """
    from xtreme_dag.study.file import load_study
    from xtreme_dag.wiring.build import build

    study = load_study(study_file, overrides)
    return study, build(study)
