"""Options of commands that name a place: the home, and the mirror of the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from xtreme_dag.core import home
from xtreme_dag.engine import mirror


def _to_home(_context: click.Context, _parameter: click.Parameter, value: str | None) -> home.Home:
    return home.Home.find(value)


def home_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--home DIR` to a command, which receives `home: Home`."""
    return click.option(
        "--home",
        metavar="DIR",
        callback=_to_home,
        expose_value=True,
        help=f"Where all state is kept (default ${home.VARIABLE}, else ./{home.DEFAULT}).",
    )(command)


def mirror_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--mirror URL` to a command, which receives `mirror: str | None`."""
    return click.option(
        "--mirror",
        metavar="URL",
        envvar=mirror.VARIABLE,
        help=f"A store elsewhere to pull from and push to: s3://bucket/folder, a shared folder (default ${mirror.VARIABLE}).",
    )(command)
