"""`xtreme-dag status`: what became of a study's stages."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import click

from xtreme_dag.core.durations import duration
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.home import Home
from xtreme_dag.engine.claims import local_claims, mirrored_claims
from xtreme_dag.engine.ledger import CACHED, DONE, FAILED, NOT_RUN, RELEASED, Ledger
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.overview import read_progress, running_rows
from xtreme_dag.engine.store import Store
from xtreme_dag.program.options import home_option, mirror_option
from xtreme_dag.program.output import Answer, answers, table
from xtreme_dag.program.troubles import troubles

_WATCH_SECONDS = 2.0


@click.command()
@click.argument("study", required=False)
@click.option("--watch", is_flag=True, help="Show what runs where, again and again, for as long as something runs.")
@mirror_option
@answers
@home_option
def command(study: str | None, watch: bool, mirror: str | None, home: Home) -> Answer:
    """What became of the stages of STUDY (a study's name) in its last run; without STUDY, of all studies.

    While something runs: how far it is, and what runs on which machine; on others, as they say it in the mirror.

    \b
    Example: xtreme-dag status demo
             xtreme-dag status demo --watch --mirror s3://bucket/folder
    """
    elsewhere = Mirror.find(mirror)
    now = _now(home, study, elsewhere)
    while watch and now["running"] + now["runs"]:
        if sys.stdout.isatty():
            click.clear()
        for line in [*_running_lines(now), ""]:
            click.echo(line)
        time.sleep(_WATCH_SECONDS)
        now = _now(home, study, elsewhere)
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in Ledger(home.ledger).entries():
        if entry["outcome"] != RELEASED:
            latest[entry["study"], entry["stage"]] = {**entry, "dropped": False}
    store = Store(home.store)
    for entry in latest.values():
        record = store.read(entry["key"]) if entry["outcome"] in (DONE, CACHED) else None
        entry["dropped"] = record is not None and store.is_dropped(record)
    studies = sorted({name for name, _stage in latest})
    if study is not None and study not in studies and not now["running"] + now["runs"]:
        raise UserError(
            f"no study {study!r} has run in {home.root}",
            fix=nearest(study, studies) if studies else "xtreme-dag run STUDY",
        )
    running = _running_lines(now)
    chosen = [entry for (name, _stage), entry in latest.items() if study in (None, name)]
    wanted = [name for name in studies if study in (None, name)]
    lines = [*(line for name in wanted for line in _lines(name, chosen)), *running]
    warnings = [
        *troubles(home),
        *([f"mirror {elsewhere.url}: {elsewhere.trouble}"] if elsewhere and elsewhere.trouble else []),
    ]
    return Answer(value=chosen, text=lines or [f"nothing has run in {home.root}"], warnings=warnings)


def _now(home: Home, study: str | None, mirror: Mirror | None) -> dict[str, list[Any]]:
    """The runs that are under way, and what runs where."""
    claims = {claim.key: claim for claim in (mirrored_claims(mirror) if mirror else [])}
    claims |= {claim.key: claim for claim in local_claims(home.running)}
    return {
        "runs": [run for run in read_progress(home) if study in (None, run.study)],
        "running": [claim for claim in claims.values() if study in (None, claim.study)],
    }


def _running_lines(now: Mapping[str, list[Any]]) -> list[str]:
    lines = [f"{run.study} on {run.host}: {run.line()}" for run in now["runs"]]
    rows = running_rows(now["running"])
    return [*lines, *(["", *table(list(rows[0]), [list(row.values()) for row in rows]).splitlines()] if rows else [])]


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
