"""`xtreme-dag verify`: re-hash the store; set damaged artifacts aside."""

from __future__ import annotations

import sys

import click

from xtreme_dag.core.home import Home
from xtreme_dag.engine import damage
from xtreme_dag.engine.store import Store
from xtreme_dag.program.options import home_option
from xtreme_dag.program.output import Answer, answers


@click.command()
@answers
@home_option
def command(home: Home) -> Answer:
    """Re-hash every artifact in the store and read every record; exit 1 if any was damaged.

    What is damaged is set aside, and its stage runs again; so do stages that may have read it before it was found.
    Weights that a study with `keep: scores` dropped are no damage.

    \b
    Example: xtreme-dag verify
    """
    store = Store(home.store)
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


def _lines(found: damage.Damage) -> list[str]:
    return [
        f"damaged: {found.record.name}: {', '.join(found.files)}; set aside, it will run again",
        *(f"  suspect: {name} may have read it, and runs again" for name in found.suspects),
        *(f"  after a suspect: {name}, runs again if that comes out otherwise" for name in found.after),
    ]
