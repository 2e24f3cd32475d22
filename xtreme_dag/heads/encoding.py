"""The `encode` stage: a canonical table becomes flat token ids, once, for one tokenizer and one head."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from xtreme_dag import formats
from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError, nearest, refuse_unknown
from xtreme_dag.heads import head_of
from xtreme_dag.tables.canonical import read_table
from xtreme_dag.tables.encoded import list_column, write_encoded
from xtreme_dag.tables.tokenizer import Flat, Frame, TextTokenizer
from xtreme_dag.tables.tokenizer_files import load_tokenizer

Ints = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Int8 = npt.NDArray[np.int8]


@dataclass(frozen=True, kw_only=True)
class EncodeParams:
    """The parameters of the `encode` stage.

    Attributes:
        format: canonical format of the table.
        head: head that the sequences are for.
        labels: label names in the task's order, for heads that take labels.
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
    """Columns of both tables, as a head's `sequences` gives them; `id` and `language` are added here.

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


def encode(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Tokenises a canonical table.

    Args:
        params: fields of `EncodeParams`; `declared`, what the format says, for the key.
        inputs: `table`, a folder with a canonical table; `tokenizer`, a model or tokenizer folder; `labels`, the
            canonical table that an open label set is read from (by default `table`).
        context: `out` receives `examples.arrow`, `sequences.arrow` and `encode.json`.

    Returns:
        The figures of `encode.json`.

    Raises:
        UserError: the format does not fit the head, a label is not in the task's list, a text is missing.
    """
    open_set = head_of(params["head"], "encode").open_set
    if open_set is None or params.get("labels"):
        settings, table = encode_params(params), read_table(inputs["table"])
    else:
        table = read_table(inputs["table"])
        labels, table = open_set(read_table(inputs["labels"]) if "labels" in inputs else table, table)
        settings = encode_params({**params, "labels": labels})
    examples, sequences, info = encode_table(limited(table, settings), settings, load_tokenizer(inputs["tokenizer"]))
    write_encoded(context.out, examples, sequences, info)
    return {"examples": info["examples"], "sequences": info["sequences"], "tokens": info["tokens"]}


def encode_table(
    table: pa.Table, settings: EncodeParams, tokenizer: TextTokenizer
) -> tuple[pa.Table, pa.Table, dict[str, Any]]:
    """Tokenises a canonical table in memory.

    Returns:
        The table of examples, the table of sequences and the content of `encode.json`.
    """
    encoded: Encoded = head_of(settings.head).sequences(table, settings, tokenizer)
    unknown = tokenizer.special_ids.get("unk", -1)
    tokens = len(encoded.flat.ids)
    info = {
        "format": settings.format,
        "head": settings.head,
        "labels": list(settings.labels),
        "max_length": settings.max_length,
        "splits": sorted(set(table["split"].to_pylist())),
        "languages": sorted(set(table["language"].to_pylist())),
        "examples": len(encoded.rows),
        "sequences": len(encoded.flat.lengths),
        "tokens": tokens,
        "longest": int(encoded.flat.lengths.max(initial=0)),
        "truncated": encoded.flat.truncated,
        "unknown_share": float(np.count_nonzero(encoded.flat.ids == unknown) / tokens) if tokens else 0.0,
        "vocabulary_size": tokenizer.vocabulary_size,
        "special_ids": dict(sorted(tokenizer.special_ids.items())),
        **encoded.counts,
    }
    return _examples(table, encoded), _sequences(encoded), info


def encode_params(params: Mapping[str, Any]) -> EncodeParams:
    """The parameters as a typed value, or an error that names the one that is wrong."""
    given = {name: value for name, value in params.items() if name != "declared"}
    refuse_unknown(given, {field.name for field in fields(EncodeParams)}, what="parameter", where="encode")
    settings = EncodeParams(**{**given, "labels": tuple(given.get("labels") or ())})
    head = head_of(settings.head, "encode")
    formats.get(settings.format, where="encode")
    if settings.format not in head.formats:
        raise UserError(
            f"the head {settings.head!r} cannot be trained on the format {settings.format!r}",
            where="encode",
            fix="formats that fit: " + ", ".join(head.formats),
        )
    if head.labels and not settings.labels:
        raise UserError(f"the head {settings.head!r} needs the task's labels", where="encode: labels")
    return settings


def limited(table: pa.Table, settings: EncodeParams) -> pa.Table:
    """The first `limit` rows, or a sample of that size in the table's order; candidates of a pool are all kept."""
    if settings.limit is None:
        return table
    asking = (
        side_numbers(table, settings.format) == 0 if "side" in table.column_names else np.ones(table.num_rows, bool)
    )
    rows = np.flatnonzero(asking)
    if settings.limit_seed is not None:
        names = table["id"].to_pylist()
        rows = np.array(sorted(rows, key=lambda row: _rank(settings.limit_seed, names[row])), dtype=np.int64)
    kept = ~asking
    kept[rows[: settings.limit]] = True
    return table.filter(pa.array(kept))


def texts(table: pa.Table, column: str) -> list[str]:
    """A text column; a missing text is an error that names its row."""
    values: list[str] = table[column].to_pylist()
    for row, value in enumerate(values):
        if value is None:
            raise UserError(f"row {table['id'][row].as_py()!r} has no {column}", fix="run the data set's contract")
    return values


def side_numbers(table: pa.Table, format: str) -> Int8:
    """The side of each row of a two-sided table: 0 for what asks, 1 for what is found."""
    sides = formats.get(format).sides
    assert sides is not None
    return np.array([side == sides.found for side in table["side"].to_pylist()], dtype=np.int8)


def label_number(label: str, position: Mapping[str, int], table: pa.Table, row: int) -> int:
    """The number of a label, or an error that names the row."""
    if label not in position:
        raise UserError(
            f"row {table['id'][row].as_py()!r} has the label {label!r}, which the task does not list",
            fix=nearest(label, position),
        )
    return position[label]


def frame_pair(first: Int32, second: Int32, frame: Frame) -> tuple[Int32, Int8]:
    """Ids and token types of two texts with their special tokens."""
    before, between, after = (np.array(part, np.int32) for part in (frame.before, frame.between, frame.after))
    ids = np.concatenate([before, first, between, second, after])
    types = np.concatenate([
        np.zeros(len(before) + len(first), np.int8),
        np.array(frame.between_type, np.int8),
        np.full(len(second) + len(after), frame.second_type, np.int8),
    ])  # fmt: skip
    return ids, types


def flat(ids: list[Int32], types: list[Int8] | None, truncated: int = 0) -> Flat:
    """Sequences end to end; `types` are their token types, None for an encoder without."""
    return Flat(
        ids=flatten(ids, np.int32),
        lengths=np.array([len(one) for one in ids], dtype=np.int64),
        type_ids=None if types is None else flatten(types, np.int8),
        truncated=truncated,
    )


def flatten(rows: list[npt.NDArray[Any]], kind: Any) -> npt.NDArray[Any]:
    """Arrays end to end."""
    return np.concatenate(rows).astype(kind, copy=False) if rows else np.zeros(0, dtype=kind)


def ragged(rows: list[npt.NDArray[Any]], kind: Any) -> pa.Array:
    """A list column of one array per sequence."""
    return list_column(flatten(rows, kind), np.array([len(row) for row in rows], dtype=np.int64))


def _rank(seed: int | None, name: str) -> bytes:
    """A place in an order that depends on the seed and the id alone, so that parallel rows are sampled together."""
    return hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest()


def _examples(table: pa.Table, encoded: Encoded) -> pa.Table:
    """The table of examples."""
    rows = table.select(["id", "language"]).take(pa.array(encoded.rows))
    for name, column in encoded.examples.items():
        rows = rows.append_column(name, column)
    return rows


def _sequences(encoded: Encoded) -> pa.Table:
    """The table of sequences."""
    columns = {
        "example": pa.array(encoded.example.astype(np.int32)),
        "input_ids": list_column(encoded.flat.ids, encoded.flat.lengths),
    }
    if encoded.flat.type_ids is not None:
        columns["token_type_ids"] = list_column(encoded.flat.type_ids, encoded.flat.lengths)
    return pa.table({**columns, **encoded.sequences})
