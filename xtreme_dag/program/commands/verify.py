"""`xtreme-dag verify`: re-hashes every artifact; damaged ones are set aside and their stages run again."""

from __future__ import annotations

import sys

import click

from xtreme_dag.core.home import Home
from xtreme_dag.engine.store import Store
from xtreme_dag.program.commands.shared import json_option, print_json
from xtreme_dag.program.options import home_option


@click.command()
@json_option
@home_option
def command(as_json: bool, home: Home) -> None:
    """Re-hash every artifact in the store; exit 1 if any was damaged.

    \b
    Example: xtreme-dag verify
    """
    store = Store(home.store)
    damaged: list[dict[str, object]] = []
    checked: set[str] = set()
    records = list(store.records())
    with click.progressbar(
        records, label="verifying", file=sys.stderr, hidden=as_json or not sys.stderr.isatty()
    ) as bar:
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
    if as_json:
        print_json({"records": len(records), "artifacts": len(checked), "damaged": damaged})
    else:
        for entry in damaged:
            click.echo(f"damaged: {entry['stage']}: {entry['files']}; set aside, it will run again")
        click.echo(f"{len(records)} records, {len(checked)} artifacts, {len(damaged)} damaged")
    if damaged:
        sys.exit(1)
