"""Options that several commands share: the home, a study, the machine."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from xtreme_dag.catalogue import own
from xtreme_dag.core.beside import shipped_studies
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import DEFAULT, VARIABLE, Home
from xtreme_dag.core.urls import has_password
from xtreme_dag.engine.mirror import LONG, Mirror
from xtreme_dag.engine.mirror import VARIABLE as MIRROR

if TYPE_CHECKING:
    from xtreme_dag.study.file import Study
    from xtreme_dag.wiring.build import Built

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
BENCHMARK = click.Choice(["xtreme", "xtreme-r"])


def _home(_context: click.Context, _option: click.Parameter, value: str | None) -> Home:
    """The home; the catalogue of the user's own in it counts."""
    home = Home.find(value)
    own.look("home", home.root)
    return home


def look_around() -> None:
    """Takes the catalogues of the user's own in the working directory and in the home that the environment names."""
    own.look("here", Path.cwd())
    own.look("home", Home.find().root)


def study_path(given: Path) -> Path:
    """The file of a study: the one that is given, or the one of that name that comes with the program."""
    return given if given.exists() or given.suffix else shipped_studies().get(str(given), given)


def _catalogue(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> None:
    for folder in reversed(values):
        own.name(Path(folder))


# Taken by every command; see `cli`.
catalogue_option = click.Option(
    ["--catalogue"],
    metavar="DIR",
    multiple=True,
    expose_value=False,
    is_eager=True,
    callback=_catalogue,
    help=f"A folder with a catalogue of your own (or ${own.VARIABLE}); one beside the study, in the home or here is found.",
)

# `home: Home`
home_option = click.option(
    "--home",
    metavar="DIR",
    callback=_home,
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


def _named_mirror(context: click.Context, _option: click.Parameter, value: str | None) -> Mirror | None:
    """The mirror to look after; that of the environment where no URL is given."""
    if value is None:
        return None
    found = Mirror.find(value or None, LONG / 10)
    if found is None:
        raise UserError("names no URL", where="--mirror", fix=f"--mirror URL, or set {MIRROR}")
    return found


# `mirror: Mirror | None`, to be looked after instead of the home
upkeep_option = click.option(
    "--mirror",
    metavar="[URL]",
    is_flag=False,
    flag_value="",
    callback=_named_mirror,
    help=f"Look after this mirror instead of the home (without URL: ${MIRROR}).",
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


# Engine -> the package of the extra of its name that is asked for.
_ENGINES = {"dask": "prefect_dask", "ray": "prefect_ray"}


def _installed(_context: click.Context, _option: click.Parameter, value: str) -> str:
    """An engine that is installed."""
    if value in _ENGINES and find_spec(_ENGINES[value]) is None:
        raise UserError(f"{value} is not installed", where="--engine", fix=f"pip install 'xtreme-dag[{value}]'")
    return value


def _of_an_engine(context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """An address that somebody uses."""
    if value is not None and context.params.get("engine") not in _ENGINES:
        raise UserError("is of a cluster", where="--address", fix="name its --engine, dask or ray")
    return value


def study_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the study (a file, or the name of a shipped one) and `--set KEY=VALUE` to a command: `study_file: Path`, `overrides: tuple[str, ...]`."""
    command = click.option(
        "--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a study key, dotted: seeds=[1,2]."
    )(command)
    return click.argument(
        "study_file",
        metavar="STUDY",
        type=click.Path(path_type=Path),
        callback=lambda _context, _argument, value: study_path(value),
    )(command)


def machine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds how a study is run: `workers: int` (0: one per core), `threads`, `device`, `cuda`, `timeout`, `checkpoint`,
    `mirror`, `engine` and `address`.
    """
    for option in (
        mirror_option,
        click.option(
            "--address",
            metavar="ADDRESS",
            callback=_of_an_engine,
            help="Where that cluster is: tcp://host:8786, host:6379. Default: one of this machine's own.",
        ),
        click.option(
            "--engine",
            type=click.Choice(["threads", *_ENGINES]),
            default="threads",
            show_default=True,
            is_eager=True,
            callback=_installed,
            help="What runs the stages: this machine, or the machines of a Dask or Ray cluster.",
        ),
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
