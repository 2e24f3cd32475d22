"""`xtreme-dag verify`: re-hash the store; set damaged artifacts aside."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine import damage, upkeep
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.signatures import VARIABLE as SECRET
from xtreme_dag.engine.store import Store
from xtreme_dag.program.options import home_option, upkeep_option
from xtreme_dag.program.output import Answer, answers


@click.command()
@upkeep_option
@answers
@home_option
def command(mirror: Mirror | None, home: Home) -> Answer:
    """Re-hash every artifact in the store and read every record; exit 1 if any was damaged.

    What is damaged is set aside, and its stage runs again; so do stages that may have read it before it was found.
    Weights that a study with `keep: scores` dropped are no damage. With --mirror, the mirror instead: what is damaged is
    removed there, and pushed anew if this home has it.

    \b
    Example: xtreme-dag verify
             xtreme-dag verify --mirror s3://bucket/folder
    """
    store = Store(home.store)
    if mirror is not None:
        return _mirror(mirror, store)
    found: list[damage.Damage] = []
    unreadable: list[dict[str, str]] = []
    checked: set[str] = set()
    dropped = 0
    records = list(store.record_files())
    with click.progressbar(records, label="verifying", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        for path, record in bar:
            if record is None:
                place = store.set_record_aside(path)
                unreadable.append({"record": str(path), "set_aside": str(place or "")})
            elif record.digest not in checked:
                checked.add(record.digest)
                with store.reading(record.digest):
                    bad = store.damaged_files(record)
                dropped += store.is_dropped(record)
                if bad:
                    found.append(damage.set_aside(store, record, bad))
    damaged = [
        {
            "stage": each.record.name,
            "digest": each.record.digest,
            "files": ", ".join(each.files),
            "set_aside": str(each.place or ""),
            "suspects": list(each.suspects),
            "after": list(each.after),
        }
        for each in found
    ]
    return Answer(
        value={"records": len(records), "artifacts": len(checked), "dropped": dropped, "damaged": damaged,
               "unreadable": unreadable},
        text=[
            *(
                f"damaged: record {entry['record']} cannot be read; set aside, its stage runs again"
                for entry in unreadable
            ),
            *(line for each in found for line in _lines(each)),
            f"{len(records)} records, {len(checked)} artifacts{f' ({dropped} without weights, dropped)' if dropped else ''}, "
            f"{len(damaged) + len(unreadable)} damaged",
        ],
        ok=not damaged and not unreadable,
    )  # fmt: skip


def _mirror(mirror: Mirror, store: Store) -> Answer:
    """The same of a mirror."""
    with click.progressbar(length=1, label="verifying", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

        def told(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        records, artifacts, damaged = upkeep.verify(mirror, store, told)
    if mirror.files.trouble:
        raise UserError(mirror.files.trouble, where=f"mirror {mirror.url}", fix="nothing was changed; try again")
    lines = [
        f"{'refused' if each.refused else 'damaged'}: {each.name or f'record {each.key[:16]}'}: {', '.join(each.files)}; "
        + _became(each)
        for each in damaged
    ]
    return Answer(
        value={"records": records, "artifacts": artifacts, "damaged": [asdict(each) for each in damaged]},
        text=[*lines, f"{mirror.url}: {records} records, {artifacts} artifacts, {len(damaged)} damaged"],
        ok=not damaged,
    )


def _became(found: upkeep.Damaged) -> str:
    if found.mended:
        return "pushed anew from this home"
    if found.refused:
        return f"it is not signed with the secret of {SECRET}, and stays there"
    return "removed, whoever needs it makes it again"


def _lines(found: damage.Damage) -> list[str]:
    return [
        f"damaged: {found.record.name}: {', '.join(found.files)}; set aside, it will run again",
        *(f"  suspect: {name} may have read it, and runs again" for name in found.suspects),
        *(f"  after a suspect: {name}, runs again if that comes out otherwise" for name in found.after),
    ]
