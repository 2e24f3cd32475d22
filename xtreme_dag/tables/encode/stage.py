"""The `encode` stage: a canonical table becomes flat token ids, once, for one tokenizer and one head."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.tables.canonical import SCHEMAS, read_table
from xtreme_dag.tables.encode.parts import Encoded, EncodeParams
from xtreme_dag.tables.encode.response import encode_response
from xtreme_dag.tables.encode.span import encode_span
from xtreme_dag.tables.encode.tagging import encode_tagging
from xtreme_dag.tables.encode.text import (
    encode_classification,
    encode_dual,
    encode_embedding,
    encode_mlm,
    encode_multiple_choice,
    side_numbers,
)
from xtreme_dag.tables.encoded import HEADS, list_column, write_encoded
from xtreme_dag.tables.tokenizer import TextTokenizer, load_tokenizer

_FORMATS = {
    "classification": ("pair_classification",),
    "multiple_choice": ("multiple_choice",),
    "tagging": ("tagging",),
    "span": ("span_qa",),
    "mlm": ("plain_text", "parallel_text", "parallel"),
    "dual": ("parallel", "parallel_text", "bitext_mining", "qa_retrieval", "entity_linking"),
    "embedding": ("parallel", "parallel_text", "bitext_mining", "qa_retrieval", "entity_linking", "plain_text"),
}


def encode(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Tokenises a canonical table.

    Args:
        params: fields of `EncodeParams`.
        inputs: `table`, a folder with a canonical table; `tokenizer`, a model or tokenizer folder; `labels`, the
            canonical table that an open tag set is read from (by default `table`).
        context: `out` receives `examples.arrow`, `sequences.arrow` and `encode.json`.

    Returns:
        The figures of `encode.json`.

    Raises:
        UserError: the format does not fit the head, a label is not in the task's list, a text is missing.
    """
    open_tags = params["head"] == "tagging" and not params.get("labels")
    if open_tags:
        params = {**params, "labels": tag_set(read_table(inputs.get("labels", inputs["table"])))}
    settings = encode_params(params)
    table = limited(read_table(inputs["table"]), settings)
    if open_tags:
        table = without_unknown_tags(table, settings.labels)
    examples, sequences, info = encode_table(table, settings, load_tokenizer(inputs["tokenizer"]))
    write_encoded(context.out, examples, sequences, info)
    return {"examples": info["examples"], "sequences": info["sequences"], "tokens": info["tokens"]}


def encode_table(
    table: pa.Table, settings: EncodeParams, tokenizer: TextTokenizer
) -> tuple[pa.Table, pa.Table, dict[str, Any]]:
    """Tokenises a canonical table in memory.

    Returns:
        The table of examples, the table of sequences and the content of `encode.json`.
    """
    encoded = _by_head(table, settings, tokenizer)
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
    valid = {field.name for field in fields(EncodeParams)}
    for name in params:
        if name not in valid:
            raise UserError(f"there is no parameter {name!r}", where="encode", fix=nearest(name, valid))
    settings = EncodeParams(**{**params, "labels": tuple(params.get("labels") or ())})
    if settings.head not in HEADS:
        raise UserError(f"there is no head {settings.head!r}", where="encode", fix=nearest(settings.head, HEADS))
    if settings.format not in SCHEMAS:
        raise UserError(
            f"there is no format {settings.format!r}", where="encode", fix=nearest(settings.format, SCHEMAS)
        )
    if settings.format not in _FORMATS[settings.head]:
        raise UserError(
            f"the head {settings.head!r} cannot be trained on the format {settings.format!r}",
            where="encode",
            fix="formats that fit: " + ", ".join(_FORMATS[settings.head]),
        )
    if settings.head in ("classification", "tagging") and not settings.labels:
        raise UserError(f"the head {settings.head!r} needs the task's labels", where="encode: labels")
    return settings


def limited(table: pa.Table, settings: EncodeParams) -> pa.Table:
    """The first `limit` rows, or a sample of that size in the table's order; candidates of a pool are all kept."""
    if settings.limit is None:
        return table
    asking = side_numbers(table) == 0 if "side" in table.column_names else np.ones(table.num_rows, bool)
    rows = np.flatnonzero(asking)
    if settings.limit_seed is not None:
        names = table["id"].to_pylist()
        rows = np.array(sorted(rows, key=lambda row: _rank(settings.limit_seed, names[row])), dtype=np.int64)
    kept = ~asking
    kept[rows[: settings.limit]] = True
    return table.filter(pa.array(kept))


def tag_set(table: pa.Table) -> list[str]:
    """The tags of a table, sorted: the label set of a dataset whose set is open (CCG)."""
    return sorted({tag for tags in table["tags"].to_pylist() for tag in tags or () if tag is not None})


def without_unknown_tags(table: pa.Table, labels: tuple[str, ...]) -> pa.Table:
    """The table with null where a tag is not in the set: nothing can be learnt or counted there."""
    known = frozenset(labels)
    rows = [
        None if tags is None else [tag if tag in known else None for tag in tags] for tags in table["tags"].to_pylist()
    ]
    place = table.column_names.index("tags")
    return table.set_column(place, "tags", pa.array(rows, table.schema.field("tags").type))


def _rank(seed: int | None, name: str) -> bytes:
    """A place in an order that depends on the seed and the id alone, so that parallel rows are sampled together."""
    return hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest()


def _by_head(table: pa.Table, settings: EncodeParams, tokenizer: TextTokenizer) -> Encoded:
    """Encodes for the head that the parameters name."""
    if settings.head == "classification":
        return encode_classification(table, settings, tokenizer)
    if settings.head == "multiple_choice":
        return encode_multiple_choice(table, settings, tokenizer)
    if settings.head == "tagging":
        return encode_tagging(table, settings, tokenizer)
    if settings.head == "span":
        return encode_span(table, settings, tokenizer)
    if settings.head == "mlm" and settings.masked == "second":
        return encode_response(table, settings, tokenizer)
    if settings.head == "mlm":
        return encode_mlm(table, settings, tokenizer)
    if settings.head == "dual":
        return encode_dual(table, settings, tokenizer)
    return encode_embedding(table, settings, tokenizer)


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
