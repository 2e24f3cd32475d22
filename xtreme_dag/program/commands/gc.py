"""`xtreme-dag gc`: remove what no study refers to any more."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.core.locks import remove_free
from xtreme_dag.engine import upkeep
from xtreme_dag.engine.garbage import Garbage, collection, move, trash
from xtreme_dag.engine.ledger import Ledger
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.program.options import home_option, upkeep_option
from xtreme_dag.program.output import Answer, answers
from xtreme_dag.program.troubles import cache_troubles
from xtreme_dag.results.roots import landed_needs

_HOUR = 3600.0  # in seconds
_DAY, _MONTH = 24.0, 720.0  # in hours


@click.command()
@click.option("--yes", is_flag=True, help="Remove it; without, only say what would be removed.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed; remove nothing, --yes or not.")
@click.option(
    "--older-than", type=click.FloatRange(min=0), metavar="HOURS",
    help="Keep records, artifacts and unfinished work that are younger (default 24; of a mirror 720, 30 days).",
)  # fmt: skip
@upkeep_option
@answers
@home_option
def command(yes: bool, dry_run: bool, older_than: float | None, mirror: Mirror | None, home: Home) -> Answer:
    """Remove what later runs replaced: old records, their artifacts, abandoned work.

    What landed, what the last run of a study used and what is young stays; whatever cannot be read is named and
    keeps what it may refer to. What is removed lies in the home's folder trash/ until the next gc --yes.

    With --mirror, of the mirror instead: what is old, and neither this home nor anything younger needs it. That is gone
    for good; who misses it makes it again.

    \b
    Example: xtreme-dag gc --yes
             xtreme-dag gc --mirror s3://bucket/folder --older-than 720
    """
    removed, place = yes and not dry_run, None
    if mirror is not None:
        return _mirror(mirror, home, (_MONTH if older_than is None else older_than) * _HOUR, removed)
    if not home.store.is_dir():
        return Answer(value={"records": 0, "artifacts": 0, "bytes": 0, "work": 0, "locks": 0, "trash": 0, "removed": removed,
                             "kept": []}, text=["nothing to remove"])  # fmt: skip
    try:
        with collection(home, landed_needs(home), (_DAY if older_than is None else older_than) * _HOUR) as garbage:
            if removed and (garbage.records or garbage.artifacts or garbage.work):
                place = move(home, garbage)
            locks = sum(map(remove_free, garbage.locks)) if removed else len(garbage.locks)
        for path in garbage.emptied if removed else ():
            shutil.rmtree(path)
    except OSError as error:
        raise UserError(f"cannot be removed ({error.strerror})", where=str(error.filename)) from None
    counts = {name: len(getattr(garbage, name)) for name in ("records", "artifacts", "work")}
    value = {**counts, "bytes": garbage.size, "locks": locks, "trash": len(garbage.emptied), "removed": removed}
    return Answer(
        value={**value, "kept": list(garbage.kept)},
        warnings=[*garbage.kept, *cache_troubles(home)],
        text=[
            f"{'removed' if removed else 'would remove'} {counts['records']} records, {counts['artifacts']} artifacts"
            f" ({garbage.size / 1e6:.1f} MB), {counts['work']} abandoned work folders, {locks} lock files",
            *_more(home, garbage, removed),
            *([f"they lie in {place} until the next `xtreme-dag gc --yes`"] if place else []),
        ],
    )


def _mirror(mirror: Mirror, home: Home, age: float, removed: bool) -> Answer:
    """The same of a mirror."""
    landed = landed_needs(home)
    needed = landed.names | {str(entry["key"]) for entry in Ledger(home.ledger).entries() if _age_of(entry) < age}
    found = upkeep.unneeded(mirror, needed, age)
    if mirror.files.trouble:
        raise UserError(mirror.files.trouble, where=f"mirror {mirror.url}", fix="nothing was removed; try again")
    if removed:
        upkeep.remove(mirror, found)
    counts = {"records": len(found.records), "artifacts": len(found.artifacts), "files": len(found.paths)}
    return Answer(
        value={**counts, "bytes": found.size, "removed": removed, "kept": list(found.kept)},
        warnings=[*landed.unreadable, *found.kept],
        text=[
            f"{'removed' if removed else 'would remove'} {counts['records']} records, {counts['artifacts']} artifacts,"
            f" {counts['files']} files in all ({found.size / 1e6:.1f} MB) of {mirror.url}",
            *([] if removed else [f"  {name}  {key[:12]}" for key, name in found.records.items()]),
            *([] if removed else ["nothing was removed: that takes --yes"]),
        ],
    )


def _age_of(entry: Mapping[str, Any]) -> float:
    """How long ago an entry of the ledger was written, in seconds; 0 if it does not say."""
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(entry["time"])).total_seconds()
    except (KeyError, ValueError, TypeError):
        return 0.0


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
