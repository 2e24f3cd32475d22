"""`xtreme-dag audit`: prove that nothing of what is tested reached training or selection."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from xtreme_dag.contracts.shared import Shared
from xtreme_dag.core.home import Home
from xtreme_dag.program.options import home_option, study_path
from xtreme_dag.program.output import Answer, answers
from xtreme_dag.wiring.audit import audit


@click.command()
@click.argument("study_file", metavar="[STUDY]", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a key of the study; repeatable.")
@answers
@home_option
def command(study_file: Path | None, overrides: tuple[str, ...], home: Home) -> Answer:
    """Look for tested examples in what STUDY trains and selects on, by content; nothing is trained.

    Without STUDY: follow the lineage of every model in the store back to raw files. Exit 1 if a leak is found.

    \b
    Example: xtreme-dag audit studies/demo.yaml
    """
    return _of_store(home) if study_file is None else _of_study(home, study_path(study_file), overrides)


def _of_store(home: Home) -> Answer:
    found = audit(home)
    return Answer(
        value=vars(found),
        text=[
            *(f"TAINTED: {line}" for line in found.tainted),
            *(f"unknown: {line}" for line in found.unknown),
            f"{found.models} models, {found.tables} tables behind them, {len(found.tainted)} tainted, {len(found.unknown)} of unknown lineage",
        ],
        ok=not found.tainted and not found.unknown,
    )


def _of_study(home: Home, study_file: Path, overrides: tuple[str, ...]) -> Answer:
    from xtreme_dag.program.overlaps import looked_at

    looked = looked_at(home, study_file, overrides, lambda words: click.echo(words, err=True))
    stopping = [one for one in looked.shared if one.stops]
    return Answer(
        value={"shared": [asdict(one) for one in looked.shared], "audits": looked.audits, "failed": looked.failed},
        text=[
            *(one.in_words() for one in sorted(looked.shared, key=_worst_first)),
            *(f"failed: {name}: {why}" for name, why in looked.failed.items()),
            f"{looked.audits} tables that are trained or selected on, {len(stopping)} leaks, "
            f"{sum(one.leak and not one.stops for one in looked.shared)} allowed, {len(looked.failed)} failed",
        ],
        ok=not stopping and not looked.failed,
    )


def _worst_first(one: Shared) -> tuple[bool, bool, float]:
    return not one.stops, not one.leak, -one.share
