"""What the encoders of the heads hand over, and what they share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.tables.encoded import list_column
from xtreme_dag.tables.tokenizer import Flat

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class EncodeParams:
    """The parameters of the `encode` stage.

    Attributes:
        format: canonical format of the table.
        head: head that the sequences are for.
        labels: label names in the task's order (classification, tagging).
        max_length: tokens per sequence at most, special tokens included.
        doc_stride: distance in tokens between the starts of two windows over one context (span).
        query_length: tokens of a question at most (span: without special tokens; dual and embedding: with them).
        limit: number of examples to keep, None for all. Retrieval pools keep all their candidates.
        limit_seed: None keeps the first `limit` examples, a number a sample that is the same everywhere.
        masked: `second`: the second text of a pair is masked whole, always (mlm on parallel text); else drawn tokens.
    """

    format: str
    head: str
    labels: tuple[str, ...] = ()
    max_length: int = 128
    doc_stride: int = 128
    query_length: int = 64
    limit: int | None = None
    limit_seed: int | None = None
    masked: str = ""


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Columns of both tables; `id` and `language` are added by the caller.

    Attributes:
        rows: row of the canonical table that each example came from, int64 `[examples]`.
        example: example of each sequence, int64 `[sequences]`.
        flat: the sequences.
        examples: further columns of `examples.arrow`.
        sequences: further columns of `sequences.arrow`.
        counts: figures for `encode.json`.
    """

    rows: Ints
    example: Ints
    flat: Flat
    examples: dict[str, pa.Array] = field(default_factory=dict)
    sequences: dict[str, pa.Array] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)


def texts(table: pa.Table, column: str) -> list[str]:
    """A text column; a missing text is an error that names its row."""
    values: list[str] = table[column].to_pylist()
    for row, value in enumerate(values):
        if value is None:
            raise UserError(f"row {table['id'][row].as_py()!r} has no {column}", fix="run the data set's contract")
    return values


def label_numbers(table: pa.Table, column: str, labels: tuple[str, ...]) -> npt.NDArray[np.int32]:
    """Label names as positions in `labels`, -1 for an unknown (null) label."""
    position = {label: number for number, label in enumerate(labels)}
    numbers = np.full(table.num_rows, -1, dtype=np.int32)
    for row, label in enumerate(table[column].to_pylist()):
        if label is not None:
            numbers[row] = _position(label, position, table, row)
    return numbers


def _position(label: str, position: dict[str, int], table: pa.Table, row: int) -> int:
    """The number of a label, or an error that names the row."""
    if label not in position:
        raise UserError(
            f"row {table['id'][row].as_py()!r} has the label {label!r}, which the task does not list",
            fix=nearest(label, position),
        )
    return position[label]


def tag_numbers(table: pa.Table, labels: tuple[str, ...]) -> list[list[int]]:
    """Tags of each sentence as positions in `labels`; -100 where a sentence has no tags."""
    position = {label: number for number, label in enumerate(labels)}
    rows: list[list[int]] = []
    for row, (words, tags) in enumerate(zip(table["words"].to_pylist(), table["tags"].to_pylist(), strict=True)):
        if tags is None:
            rows.append([-100] * len(words))
            continue
        if len(tags) != len(words):
            raise UserError(f"row {table['id'][row].as_py()!r} has {len(words)} words and {len(tags)} tags")
        rows.append([-100 if tag is None else _position(tag, position, table, row) for tag in tags])
    return rows


def flatten(rows: list[npt.NDArray[Any]], kind: Any) -> npt.NDArray[Any]:
    """Arrays end to end."""
    return np.concatenate(rows).astype(kind, copy=False) if rows else np.zeros(0, dtype=kind)


def ragged(rows: list[npt.NDArray[Any]], kind: Any) -> pa.Array:
    """A list column of one array per sequence."""
    return list_column(flatten(rows, kind), np.array([len(row) for row in rows], dtype=np.int64))
