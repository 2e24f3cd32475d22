"""Sequences of two-sided tables: queries and candidates of a retrieval pool, a text and its translation."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from xtreme_dag import formats
from xtreme_dag.heads.encoding import Encoded, EncodeParams, Int8, Ints, flatten, texts
from xtreme_dag.tables.encoded import places
from xtreme_dag.tables.tokenizer import Flat, TextTokenizer


def side_texts(table: pa.Table, format: str) -> list[str]:
    """The text that is encoded for each row of a two-sided table, as its format puts it together."""
    written, side_text = texts(table, "text"), formats.get(format).side_text
    if side_text is None:
        return written
    rows = zip(table["side"].to_pylist(), written, table["context"].to_pylist(), strict=True)
    return [side_text(*row) for row in rows]


def both_sides(table: pa.Table, params: EncodeParams, tokenizer: TextTokenizer) -> Encoded:
    """Two sequences per row of parallel text: the text (side 0) and its English (side 1)."""
    foreign = tokenizer.encode(texts(table, "text"), None, params.max_length)
    english = tokenizer.encode(texts(table, "english"), None, params.max_length)
    return pairs(np.arange(table.num_rows), foreign, english)


def pairs(rows: Ints, first: Flat, second: Flat) -> Encoded:
    """Two sequences per example, in turn: `side` 0 of the first, 1 of the second."""
    side = np.tile(np.array([0, 1], np.int8), len(rows))
    return Encoded(
        rows=rows,
        example=np.repeat(np.arange(len(rows)), 2),
        flat=merge(first, second, side),
        sequences={"side": pa.array(side)},
    )


def merge(first: Flat, second: Flat, side: Int8) -> Flat:
    """Sequences of both in the order that `side` (0 or 1 per sequence) gives, each keeping its own order."""
    order = np.empty(len(side), dtype=np.int64)
    order[side == 0] = np.arange(len(first.lengths))
    order[side == 1] = len(first.lengths) + np.arange(len(second.lengths))
    lengths = np.concatenate([first.lengths, second.lengths])
    take = places((np.cumsum(lengths) - lengths)[order], lengths[order])
    types = None
    if first.type_ids is not None and second.type_ids is not None:
        types = flatten([first.type_ids, second.type_ids], np.int8)[take]
    return Flat(
        ids=flatten([first.ids, second.ids], np.int32)[take],
        lengths=lengths[order],
        type_ids=types,
        truncated=first.truncated + second.truncated,
    )
