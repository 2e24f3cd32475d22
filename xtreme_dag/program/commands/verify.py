"""`xtreme-dag verify`: re-hash the store; set damaged artifacts aside."""

from __future__ import annotations

import sys

import click

from xtreme_dag.core.home import Home
from xtreme_dag.engine.store import Store
from xtreme_dag.program.options import home_option
from xtreme_dag.program.output import Answer, answers


@click.command()
@answers
@home_option
def command(home: Home) -> Answer:
    """Re-hash every artifact in the store; exit 1 if any was damaged.

    Damaged artifacts are set aside, and their stages run again.

    \b
    Example: xtreme-dag verify
    """
    store = Store(home.store)
    damaged: list[dict[str, object]] = []
    checked: set[str] = set()
    records = list(store.records())
    with click.progressbar(records, label="verifying", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        for record in bar:
            bad = store.damaged_files(record) if record.digest not in checked else []
            checked.add(record.digest)
            if bad:
                place = store.set_aside(record.digest, f"{', '.join(bad)} not as recorded by {record.manifest['name']}")
                damaged.append(
                    {
                        "stage": record.manifest["name"],
                        "digest": record.digest,
                        "files": ", ".join(bad),
                        "set_aside": str(place or ""),
                    }
                )
    return Answer(
        value={"records": len(records), "artifacts": len(checked), "damaged": damaged},
        text=[
            *(f"damaged: {entry['stage']}: {entry['files']}; set aside, it will run again" for entry in damaged),
            f"{len(records)} records, {len(checked)} artifacts, {len(damaged)} damaged",
        ],
        ok=not damaged,
    )
