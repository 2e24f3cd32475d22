"""Encoded tables that training may read: types that refuse a test split.

Nothing in this room takes an `EncodedTable`. It takes a `TrainingTable` or a `SelectionTable`, and neither can be made
from a table that holds a row of a test split.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from xtreme_dag.core.errors import UserError
from xtreme_dag.tables.encoded import EncodedTable, open_encoded

_TEST = "test"


@dataclass(frozen=True)
class TrainingTable:
    """An encoded table to learn from; never one with test rows."""

    table: EncodedTable

    def __post_init__(self) -> None:
        _refuse_test(self.table, "trained on")


@dataclass(frozen=True)
class SelectionTable:
    """An encoded table to select a model with; never one with test rows."""

    table: EncodedTable

    def __post_init__(self) -> None:
        _refuse_test(self.table, "used for model selection")


def training_table(folder: Path, head: str) -> TrainingTable:
    """Opens an encoded table for training a head; an error if it has test rows or was encoded for another head."""
    return TrainingTable(_for_head(open_encoded(folder), head))


def selection_table(folder: Path, head: str) -> SelectionTable:
    """Opens an encoded table for model selection; an error if it has test rows or was encoded for another head."""
    return SelectionTable(_for_head(open_encoded(folder), head))


def _for_head(table: EncodedTable, head: str) -> EncodedTable:
    """The table, if it was encoded for the head."""
    if table.head != head:
        raise UserError(
            f"the data were encoded for the head {table.head!r}, the task has {head!r}", where=str(table.folder)
        )
    return table


def _refuse_test(table: EncodedTable, use: str) -> None:
    """Raises for a table with test rows."""
    if _TEST in table.splits:
        raise UserError(f"a test split must not be {use}", where=str(table.folder))
