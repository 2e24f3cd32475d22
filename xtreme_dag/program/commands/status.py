"""`xtreme-dag status`: what became of a study's stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import click

from xtreme_dag.core.durations import duration
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.home import Home
from xtreme_dag.engine.ledger import CACHED, DONE, FAILED, NOT_RUN, RELEASED, Ledger
from xtreme_dag.engine.store import Store
from xtreme_dag.program.options import home_option
from xtreme_dag.program.output import Answer, answers
from xtreme_dag.program.troubles import troubles


@click.command()
@click.argument("study", required=False)
@answers
@home_option
def command(study: str | None, home: Home) -> Answer:
    """What became of the stages of STUDY (a study's name) in its last run; without STUDY, of all studies.

    \b
    Example: xtreme-dag status demo
    """
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in Ledger(home.ledger).entries():
        if entry["outcome"] != RELEASED:
            latest[entry["study"], entry["stage"]] = {**entry, "dropped": False}
    store = Store(home.store)
    for entry in latest.values():
        record = store.read(entry["key"]) if entry["outcome"] in (DONE, CACHED) else None
        entry["dropped"] = record is not None and store.is_dropped(record)
    studies = sorted({name for name, _stage in latest})
    if study is not None and study not in studies:
        raise UserError(
            f"no study {study!r} has run in {home.root}",
            fix=nearest(study, studies) if studies else "xtreme-dag run STUDY",
        )
    chosen = [entry for (name, _stage), entry in latest.items() if study in (None, name)]
    lines = [line for name in ([study] if study else studies) for line in _lines(name, chosen)]
    return Answer(value=chosen, text=lines or [f"nothing has run in {home.root}"], warnings=troubles(home))


def _lines(study: str, entries: Iterable[Mapping[str, Any]]) -> list[str]:
    own = [entry for entry in entries if entry["study"] == study]
    counts = ", ".join(f"{count} {outcome}" for outcome, count in Counter(entry["outcome"] for entry in own).items())
    dropped = sum(entry["dropped"] for entry in own)
    counts += f" (the weights of {dropped} dropped)" if dropped else ""
    seconds = duration(sum(entry.get("seconds", 0) for entry in own))
    last = max(entry.get("time", "") for entry in own)
    return [
        f"{study}: {len(own)} stages: {counts}; {seconds} of work; last {last}",
        *(
            f"  {entry['outcome']}: {entry['stage']}{': ' + entry['error'] if entry.get('error') else ''}"
            for entry in own
            if entry["outcome"] in (FAILED, NOT_RUN)
        ),
    ]
