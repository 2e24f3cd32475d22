"""`xtreme-dag audit`: prove that no test split reached training or selection."""

from __future__ import annotations

import click

from xtreme_dag.core.home import Home
from xtreme_dag.program.options import home_option
from xtreme_dag.program.output import Answer, answers
from xtreme_dag.wiring.audit import audit


@click.command()
@answers
@home_option
def command(home: Home) -> Answer:
    """Follow the lineage of every model in the store back to raw files; exit 1 if a test split is among them.

    \b
    Example: xtreme-dag audit
    """
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
