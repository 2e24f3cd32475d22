"""`xtreme-dag gc`: remove what no study refers to any more."""

from __future__ import annotations

import shutil

import click

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.garbage import Garbage, collection, move, trash
from xtreme_dag.program.options import home_option
from xtreme_dag.program.output import Answer, answers
from xtreme_dag.program.troubles import cache_troubles
from xtreme_dag.results.roots import landed_needs

_HOUR = 3600.0


@click.command()
@click.option("--yes", is_flag=True, help="Remove it; without, only say what would be removed.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed; remove nothing, --yes or not.")
@click.option(
    "--older-than", type=click.FloatRange(min=0), default=24.0, show_default=True, metavar="HOURS",
    help="Keep records, artifacts and unfinished work that are younger.",
)  # fmt: skip
@answers
@home_option
def command(yes: bool, dry_run: bool, older_than: float, home: Home) -> Answer:
    """Remove what later runs replaced: old records, their artifacts, abandoned work.

    What landed, what the last run of a study used and what is young stays; whatever cannot be read is named and
    keeps what it may refer to. What is removed lies in the home's folder trash/ until the next gc --yes.

    \b
    Example: xtreme-dag gc --yes
    """
    removed, place = yes and not dry_run, None
    if not home.store.is_dir():
        return Answer(value={"records": 0, "artifacts": 0, "bytes": 0, "work": 0, "trash": 0, "removed": removed,
                             "kept": []}, text=["nothing to remove"])  # fmt: skip
    try:
        with collection(home, landed_needs(home), older_than * _HOUR) as garbage:
            if removed and (garbage.records or garbage.artifacts or garbage.work):
                place = move(home, garbage)
        for path in garbage.emptied if removed else ():
            shutil.rmtree(path)
    except OSError as error:
        raise UserError(f"cannot be removed ({error.strerror})", where=str(error.filename)) from None
    counts = {name: len(getattr(garbage, name)) for name in ("records", "artifacts", "work")}
    value = {**counts, "bytes": garbage.size, "trash": len(garbage.emptied), "removed": removed}
    return Answer(
        value={**value, "kept": list(garbage.kept)},
        warnings=[*garbage.kept, *cache_troubles(home)],
        text=[
            f"{'removed' if removed else 'would remove'} {counts['records']} records, {counts['artifacts']} artifacts"
            f" ({garbage.size / 1e6:.1f} MB), {counts['work']} abandoned work folders",
            *_more(home, garbage, removed),
            *([f"they lie in {place} until the next `xtreme-dag gc --yes`"] if place else []),
        ],
    )


def _more(home: Home, garbage: Garbage, removed: bool) -> list[str]:
    emptied = len(garbage.emptied)
    lines = (
        [f"{'emptied' if removed else 'would empty'} {trash(home)} of {emptied} earlier collections"] if emptied else []
    )
    if removed:
        return lines
    return [
        *lines,
        *(f"  {record.name}  {record.key[:12]}" for record in garbage.records),
        "nothing was removed: that takes --yes",
    ]
