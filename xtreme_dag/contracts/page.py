"""One HTML page of contracts and their outcomes; it loads nothing, from this machine or another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xtreme_dag.contracts.odcs import Contract


def page(
    contracts: Sequence[tuple[Contract, Mapping[str, Any]]], tables: Sequence[Mapping[str, Any]], title: str
) -> str:
    """The page as text.

    Args:
        contracts: each contract with its document.
        tables: as `data check --json` prints them; empty for a page of contracts alone.
        title: what was checked.
    """
    from jinja2 import Environment, FileSystemLoader

    sections = [
        {
            "contract": contract,
            "told": document.get("description", {}),
            "properties": {entry["property"]: entry.get("value") for entry in document.get("customProperties", ())},
            "tables": [table for table in tables if table["dataset"] == contract.dataset],
        }
        for contract, document in contracts
    ]
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, keep_trailing_newline=True)
    return templates.get_template("page.html").render(sections=sections, tables=tables, title=title)
