"""`xtreme-dag status`: what the ledger says of a study's stages. Reads only."""

from __future__ import annotations

from collections import Counter

import click

from xtreme_dag.core.durations import duration
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.home import Home, home_option
from xtreme_dag.engine.ledger import FAILED, NOT_RUN, Ledger
from xtreme_dag.program.commands.shared import json_option, print_json


@click.command()
@click.argument("study", required=False)
@json_option
@home_option
def command(study: str | None, as_json: bool, home: Home) -> None:
    """What became of the stages of STUDY (a study's name) in its last run; without STUDY, of all studies.

    \b
    Example: xtreme-dag status demo
    """
    latest: dict[tuple[str, str], dict[str, object]] = {}
    for entry in Ledger(home.ledger).entries():
        if "stage" in entry:
            latest[entry["study"], entry["stage"]] = entry
    studies = sorted({name for name, _stage in latest})
    if study is not None and study not in studies:
        raise UserError(
            f"no study {study!r} has run in {home.root}",
            fix=nearest(study, studies) if studies else "xtreme-dag run STUDY",
        )
    chosen = [entry for (name, _stage), entry in latest.items() if study in (None, name)]
    if as_json:
        print_json(chosen)
        return
    for name in [study] if study else studies:
        own = [entry for entry in chosen if entry["study"] == name]
        counts = Counter(str(entry["outcome"]) for entry in own)
        seconds = sum(float(str(entry.get("seconds", 0))) for entry in own)
        last = max(str(entry["time"]) for entry in own)
        click.echo(
            f"{name}: {len(own)} stages: {', '.join(f'{c} {o}' for o, c in counts.items())}; {duration(seconds)} of work; last {last}"
        )
        for entry in own:
            if entry["outcome"] in (FAILED, NOT_RUN):
                click.echo(
                    f"  {entry['outcome']}: {entry['stage']}{': ' + str(entry['error']) if entry.get('error') else ''}"
                )
    if not studies:
        click.echo(f"nothing has run in {home.root}")
