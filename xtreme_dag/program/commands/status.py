"""`xtreme-dag status`: what became of a study's stages."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from xtreme_dag.core.durations import duration
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.home import Home
from xtreme_dag.engine.claims import local_claims, mirrored_claims, running_rows
from xtreme_dag.engine.ledger import CACHED, DONE, FAILED, NOT_RUN, RELEASED, Ledger
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.store import Store
from xtreme_dag.engine.under_way import UnderWay, under_way
from xtreme_dag.program.options import home_option, mirror_option
from xtreme_dag.program.output import Answer, answers, table
from xtreme_dag.program.troubles import troubles

Entry = Mapping[str, Any]

_WATCH_SECONDS = 2.0


@click.command()
@click.argument("study", required=False)
@click.option("--all", "everything", is_flag=True, help="List every stage.")
@click.option("--watch", is_flag=True, help="Show what runs where, again and again, for as long as something runs.")
@mirror_option
@answers
@home_option
def command(study: str | None, everything: bool, watch: bool, mirror: str | None, home: Home) -> Answer:
    """What became of the stages of STUDY (a study's name) in its last run; without STUDY, of all studies.

    A run that is under way is named with what runs on which machine (on others, as they say it in the mirror), and one
    that was interrupted.

    \b
    Example: xtreme-dag status demo --all
             xtreme-dag status demo --watch --mirror s3://bucket/folder
    """
    elsewhere = Mirror.find(mirror)
    now = _now(home, study, elsewhere)
    while watch and now["running"] + now["runs"]:
        if sys.stdout.isatty():
            click.clear()
        for line in [*(run.line() for run in now["runs"]), *_running_lines(now), ""]:
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
    runs = under_way(home)
    studies = sorted({name for name, _stage in latest} | {run.study for run in runs})
    if study is not None and study not in studies and not now["running"] + now["runs"]:
        raise UserError(
            f"no study {study!r} has run in {home.root}",
            fix=nearest(study, studies) if studies else "xtreme-dag run STUDY",
        )
    running = _running_lines(now)
    chosen = [entry for (name, _stage), entry in latest.items() if study in (None, name)]
    lines = [
        line
        for name in ([study] if study else studies)
        for line in _lines(
            name,
            [entry for entry in chosen if entry["study"] == name],
            [run for run in runs if run.study == name],
            kinds=study is not None and not everything,
            everything=everything,
        )
    ] + running
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
        "runs": [run for run in under_way(home) if run.running and study in (None, run.study)],
        "running": [claim for claim in claims.values() if study in (None, claim.study)],
    }


def _running_lines(now: Mapping[str, list[Any]]) -> list[str]:
    rows = running_rows(now["running"])
    return ["", *table(list(rows[0]), [list(row.values()) for row in rows]).splitlines()] if rows else []


def _lines(
    study: str, entries: Sequence[Entry], runs: Sequence[UnderWay], *, kinds: bool, everything: bool
) -> Iterator[str]:
    """A study: its runs that are not at their end, its stages in a line, by kind or each, and what failed."""
    for run in runs:
        yield run.line() if entries or run.progress else f"{run.line()}; no stage has ended yet"
    if not entries:
        return
    dropped = sum(entry["dropped"] for entry in entries)
    counts = _counts(entries) + (f" (the weights of {dropped} dropped)" if dropped else "")
    last = max(entry.get("time", "") for entry in entries)
    yield f"{study}: {len(entries)} stages: {counts}; {_worked(entries)} of work; last {last}"
    if kinds:
        by_kind: dict[str, list[Entry]] = {}
        for entry in entries:
            by_kind.setdefault(entry.get("kind", ""), []).append(entry)
        yield table(
            ("kind", "stages", "outcome", "work"),
            [(kind, str(len(of)), _counts(of), _worked(of)) for kind, of in by_kind.items()],
            right=(1, 3),
        )
    elif everything:
        yield table(
            ("outcome", "stage", "work"),
            [(entry["outcome"], entry["stage"], _worked([entry])) for entry in entries],
            right=(2,),
        )
    reasons: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        if entry["outcome"] in (FAILED, NOT_RUN):
            reasons.setdefault((entry["outcome"], entry.get("error", "")), []).append(entry["stage"])
    for (outcome, reason), stages in reasons.items():
        named = stages[0] if len(stages) == 1 else f"{len(stages)} stages, as {stages[0]}"
        yield f"  {outcome}: {named}{': ' + reason if reason else ''}"


def _counts(entries: Sequence[Entry]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in Counter(entry["outcome"] for entry in entries).items())


def _worked(entries: Sequence[Entry]) -> str:
    return duration(sum(entry.get("seconds", 0) for entry in entries))
