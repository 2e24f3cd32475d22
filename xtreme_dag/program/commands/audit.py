"""`xtreme-dag audit`: proves from the manifests that no test split reached training or model selection."""

from __future__ import annotations

import sys

import click

from xtreme_dag.core.home import Home
from xtreme_dag.program.commands.shared import json_option, print_json
from xtreme_dag.program.options import home_option
from xtreme_dag.wiring.audit import audit


@click.command()
@json_option
@home_option
def command(as_json: bool, home: Home) -> None:
    """Follow the lineage of every model in the store back to raw files; exit 1 if a test split is among them.

    \b
    Example: xtreme-dag audit
    """
    found = audit(home)
    if as_json:
        print_json(
            {
                "models": found.models,
                "tables": found.tables,
                "tainted": list(found.tainted),
                "unknown": list(found.unknown),
            }
        )
    else:
        for line in found.tainted:
            click.echo(f"TAINTED: {line}")
        for line in found.unknown:
            click.echo(f"unknown: {line}")
        click.echo(
            f"{found.models} models, {found.tables} tables behind them, {len(found.tainted)} tainted, {len(found.unknown)} of unknown lineage"
        )
    if found.tainted or found.unknown:
        sys.exit(1)
