"""Helpers of measures: the facts about a table, its columns a batch at a time, masks of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xtreme_dag.tables.canonical import StoredTable

Rows = np.ndarray[tuple[int], np.dtype[np.int64]]  # positions of rows in a table

BATCH = 65_536  # rows that are looked at together


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known about a table besides its rows.

    Attributes:
        kind: its canonical format.
        language: ISO code.
        read: examples in the raw files.
        published: published number of examples, or None.
        whole: the files are the published ones (no stand-in, nothing generated).
        labelled: the labels are not held back by the release.
        script: what the language is written in, a name of `languages.csv`; None where that is not known.
        parts: of a union, the datasets that its ids begin with.
    """

    kind: str
    language: str
    read: int
    published: int | None
    whole: bool
    labelled: bool
    script: str | None
    parts: tuple[str, ...] = ()


def batches(table: pa.Table | StoredTable, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """A table a batch at a time, from memory without a copy; none of an empty table.

    Args:
        table: of any size.
        columns: only these.
    """
    if isinstance(table, StoredTable):
        groups = table.groups(columns)
    else:
        groups = iter((table if columns is None else table.select(columns),))
    for group in groups:
        for batch in group.to_batches(max_chunksize=BATCH):
            yield pa.Table.from_batches([batch])


def values_at(table: pa.Table | StoredTable, column: str, rows: Rows) -> list[Any]:
    """The values of a column in some rows, which are in ascending order."""
    found: list[Any] = []
    start = 0
    for batch in batches(table, [column]) if len(rows) else ():
        low, high = np.searchsorted(rows, (start, start + len(batch)))
        found += batch[column].take(pa.array(rows[low:high] - start)).to_pylist() if high > low else []
        start += len(batch)
        if high == len(rows):
            break
    return found


def flat(table: pa.Table, name: str) -> pa.Array:
    """A column as one array."""
    column = table[name]
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def rows_without(bad: pa.Array, lists: pa.Array) -> pa.Array:
    """For each list whether none of its elements is marked.

    Args:
        bad: one value for each element of all lists; null is a mark.
        lists: the lists.
    """
    good = np.ones(len(lists), dtype=bool)
    if len(bad):
        marked = pc.list_parent_indices(lists).filter(pc.fill_null(bad, True))
        good[marked.to_numpy(zero_copy_only=False)] = False
    return pa.array(good)


def same(value: bool, table: pa.Table) -> pa.Array:
    """The same verdict for every row."""
    return pa.array(np.full(len(table), value))


# Columns that `shown` may look at.
SHOWN = ("side", "words", "choices", "text_a", "context", "text")


def shown(table: pa.Table, kind: str) -> pa.Array:
    """The texts that show the language of a table, one a row; empty where a row shows none."""
    if kind == "tagging":
        return pc.binary_join(flat(table, "words"), " ")
    if kind == "multiple_choice":
        return pc.list_element(flat(table, "choices"), 0)
    if kind == "bitext_mining":
        return pc.if_else(pc.equal(flat(table, "side"), "foreign"), flat(table, "text"), pa.scalar("", pa.string()))
    if kind == "entity_linking":
        return pc.if_else(pc.equal(flat(table, "side"), "mention"), flat(table, "context"), pa.scalar("", pa.string()))
    for name in ("text_a", "context", "text"):
        if name in table.column_names and kind != "qa_retrieval":
            return flat(table, name)
    return flat(table, "text")
