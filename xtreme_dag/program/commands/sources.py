"""Options and helpers of the commands that read a source of data."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from xtreme_dag.catalogue.catalogue import Catalogue
from xtreme_dag.catalogue.sources import Source, open_source, parse_source
from xtreme_dag.catalogue.sources.hub import HubSource
from xtreme_dag.core.errors import UserError
from xtreme_dag.program.options import study_path

STUDY = "study:"
HELP = "folder:PATH, hub, miniworld, miniworld:SEED, or study:FILE for the source of a study."
PIN = (
    "pin commits with --revision DATASET=COMMIT, or in a study (data.hub.revisions) and name it as --source study:FILE; "
    "`xtreme-dag data revisions` asks the hub for them"
)


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--source` and `--revision`: `source: str`, `revisions: tuple[str, ...]`."""
    option = click.option("--source", default="miniworld", show_default=True, metavar="SOURCE", help=HELP)
    return option(revision_option(command))


def revision_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--revision`: `revisions: tuple[str, ...]`."""
    return click.option(
        "--revision",
        "revisions",
        multiple=True,
        metavar="DATASET=COMMIT",
        help="With source hub: the commit of a dataset. `xtreme-dag data revisions` asks the hub for it.",
    )(command)


def opened(source: str, revisions: Sequence[str] = ()) -> Source:
    """The source that a command line names.

    Args:
        source: `folder:PATH`, `hub`, `miniworld`, `miniworld:SEED` or `study:FILE`.
        revisions: `DATASET=COMMIT`, for the hub.

    Raises:
        UserError: no such source, folder, study or dataset, or not a commit.
    """
    given: dict[str, str] = {}
    for one in revisions:
        name, equals, commit = one.partition("=")
        if not equals:
            raise UserError(f"{one!r} is not DATASET=COMMIT", where="--revision")
        given[name] = commit
    if given and source != "hub":
        raise UserError("only source hub has revisions", where="--revision", fix="add --source hub")
    if source.startswith(STUDY):
        from xtreme_dag.study.file import load_study
        from xtreme_dag.wiring.tables import open_data

        return open_data(load_study(study_path(Path(source.removeprefix(STUDY)))))
    return open_source("hub", {"revisions": given}) if given else parse_source(source)


def pinned_only(catalogue: Catalogue, source: Source, names: Sequence[str]) -> list[str]:
    """The datasets that can be checked: those asked for, or all; of the hub, those whose commit is pinned.

    Raises:
        UserError: none is pinned, or one that was asked for is not.
    """
    wanted = [catalogue.dataset(name) for name in names or catalogue.datasets]
    if not isinstance(source, HubSource):
        return [dataset.name for dataset in wanted]
    pinned = [dataset.name for dataset in wanted if source.pinned(dataset)]
    left = [name for name in names if name not in pinned]
    if left or not pinned:
        raise UserError(
            f"no revision of {', '.join(left) or 'any dataset'} is pinned",
            where="source hub",
            fix=PIN,
        )
    if len(pinned) < len(wanted):
        others = ", ".join(dataset.name for dataset in wanted if dataset.name not in pinned)
        click.echo(f"left out, no commit is pinned or not on the hub: {others}", err=True)
    return pinned


@contextmanager
def listening() -> Iterator[Callable[[str], None]]:
    """A function that shows progress on the last line of a terminal; it shows nothing elsewhere, or with `--json`."""
    if click.get_current_context().params.get("as_json") or not sys.stderr.isatty():
        yield lambda words: None
        return
    try:
        yield lambda words: click.echo(f"\r\x1b[K{words}", nl=False, err=True)
    finally:
        click.echo("\r\x1b[K", nl=False, err=True)
