"""Encoders of heads whose sequences are texts or pairs of texts: classification, multiple choice, MLM, retrieval."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from xtreme_dag.tables.encode.parts import Encoded, EncodeParams, Ints, flatten, label_numbers, texts
from xtreme_dag.tables.tokenizer import Flat, TextTokenizer


def encode_classification(table: pa.Table, params: EncodeParams, tokenizer: TextTokenizer) -> Encoded:
    """One sequence per pair of texts."""
    labels = label_numbers(table, "label", params.labels)
    flat = tokenizer.encode(texts(table, "text_a"), texts(table, "text_b"), params.max_length)
    rows = np.arange(table.num_rows)
    return Encoded(rows=rows, example=rows, flat=flat, examples={"label": pa.array(labels)})


def encode_multiple_choice(table: pa.Table, params: EncodeParams, tokenizer: TextTokenizer) -> Encoded:
    """One sequence per choice: context and question, then the choice."""
    choices = table["choices"].to_pylist()
    counts = np.array([len(options) for options in choices], dtype=np.int64)
    prompts = [
        " ".join(part for part in (context, question) if part)
        for context, question in zip(table["context"].to_pylist(), table["question"].to_pylist(), strict=True)
    ]
    first = [prompt for prompt, count in zip(prompts, counts, strict=True) for _ in range(count)]
    second = [choice for options in choices for choice in options]
    rows = np.arange(table.num_rows)
    labels = table["label"].combine_chunks().fill_null(-1).cast(pa.int32())
    return Encoded(
        rows=rows,
        example=np.repeat(rows, counts),
        flat=tokenizer.encode(first, second, params.max_length),
        examples={"label": labels},
    )


def encode_mlm(table: pa.Table, params: EncodeParams, tokenizer: TextTokenizer) -> Encoded:
    """One sequence per text; a text and its translation where the table is parallel (TLM, Conneau & Lample 2019)."""
    second = texts(table, "english") if params.format in ("parallel", "parallel_text") else None
    rows = np.arange(table.num_rows)
    return Encoded(rows=rows, example=rows, flat=tokenizer.encode(texts(table, "text"), second, params.max_length))


def encode_dual(table: pa.Table, params: EncodeParams, tokenizer: TextTokenizer) -> Encoded:
    """Two sequences per example: the query and its (first) gold candidate, or a text and its translation."""
    if params.format in ("parallel", "parallel_text"):
        return _both_sides(table, params, tokenizer)
    written = side_texts(table, params.format)
    position = {name: row for row, name in enumerate(table["id"].to_pylist())}
    gold = table["gold"].to_pylist()
    found = [
        (row, position[gold[row][0]])
        for row in np.flatnonzero(side_numbers(table) == 0)
        if gold[row] and gold[row][0] in position
    ]
    queries = tokenizer.encode([written[row] for row, _ in found], None, params.query_length)
    candidates = tokenizer.encode([written[row] for _, row in found], None, params.max_length)
    unmatched = int((side_numbers(table) == 0).sum()) - len(found)
    return Encoded(
        rows=np.array([row for row, _ in found], dtype=np.int64),
        example=np.repeat(np.arange(len(found)), 2),
        flat=interleave(queries, candidates),
        sequences={"side": pa.array(np.tile(np.array([0, 1], np.int8), len(found)))},
        counts={"queries_without_gold": unmatched},
    )


def encode_embedding(table: pa.Table, params: EncodeParams, tokenizer: TextTokenizer) -> Encoded:
    """One sequence per row of a retrieval pool, or a text and its English side."""
    if params.format in ("parallel", "parallel_text"):
        return _both_sides(table, params, tokenizer)
    if "side" not in table.column_names:
        rows = np.arange(table.num_rows)
        return Encoded(
            rows=rows,
            example=rows,
            flat=tokenizer.encode(texts(table, "text"), None, params.max_length),
            sequences={"side": pa.array(np.zeros(len(rows), np.int8))},
        )
    side = side_numbers(table)
    written = side_texts(table, params.format)
    limits = {0: params.max_length if params.format == "bitext_mining" else params.query_length, 1: params.max_length}
    parts = {
        number: tokenizer.encode([written[row] for row in np.flatnonzero(side == number)], None, limit)
        for number, limit in limits.items()
    }
    rows = np.arange(table.num_rows)
    return Encoded(rows=rows, example=rows, flat=merge(parts[0], parts[1], side), sequences={"side": pa.array(side)})


def side_numbers(table: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    """0 for what asks (foreign, question, mention), 1 for what is found (english, candidate, entity)."""
    return np.array([side in ("english", "candidate", "entity") for side in table["side"].to_pylist()], dtype=np.int8)


def side_texts(table: pa.Table, kind: str) -> list[str]:
    """The text that is encoded for each row of a two-sided table.

    A QA candidate is the answer sentence followed at once by its paragraph, a mention is written `mention: sentence`
    (the inputs of XTREME-R's LAReQA and Mewsli-X runs), an entity is its description.
    """
    written = texts(table, "text")
    if kind == "bitext_mining":
        return written
    rows = zip(written, table["context"].to_pylist(), table["side"].to_pylist(), strict=True)
    return [_side_text(text, context, side) for text, context, side in rows]


def _side_text(text: str, context: str | None, side: str) -> str:
    """One row of a two-sided table as one text."""
    if not context or side == "question":
        return text
    if side == "candidate":
        return (text + context).replace("\n", "")
    return f"{text}: {context}" if side == "mention" else f"{text} {context}"


def _both_sides(table: pa.Table, params: EncodeParams, tokenizer: TextTokenizer) -> Encoded:
    """Two sequences per row: the text (side 0) and its English (side 1)."""
    foreign = tokenizer.encode(texts(table, "text"), None, params.max_length)
    english = tokenizer.encode(texts(table, "english"), None, params.max_length)
    rows = np.arange(table.num_rows)
    return Encoded(
        rows=rows,
        example=np.repeat(rows, 2),
        flat=interleave(foreign, english),
        sequences={"side": pa.array(np.tile(np.array([0, 1], np.int8), len(rows)))},
    )


def interleave(first: Flat, second: Flat) -> Flat:
    """Sequence 0 of the first, sequence 0 of the second, sequence 1 of the first, ..."""
    return merge(first, second, np.tile(np.array([0, 1], np.int8), len(first.lengths)))


def merge(first: Flat, second: Flat, side: np.ndarray[tuple[int], np.dtype[np.int8]]) -> Flat:
    """Sequences of both in the order that `side` (0 or 1 per sequence) gives, each keeping its own order."""
    order = np.empty(len(side), dtype=np.int64)
    order[side == 0] = np.arange(len(first.lengths))
    order[side == 1] = len(first.lengths) + np.arange(len(second.lengths))
    lengths = np.concatenate([first.lengths, second.lengths])
    take = gather_rows(lengths, order)
    types = None
    if first.type_ids is not None and second.type_ids is not None:
        types = flatten([first.type_ids, second.type_ids], np.int8)[take]
    return Flat(
        ids=flatten([first.ids, second.ids], np.int32)[take],
        lengths=lengths[order],
        type_ids=types,
        truncated=first.truncated + second.truncated,
    )


def gather_rows(lengths: Ints, order: Ints) -> Ints:
    """Positions in a flat array that put its rows (of these lengths) into another order."""
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])[:-1][order]
    taken = lengths[order]
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(taken)])[:-1]
    return np.repeat(starts - before, taken) + np.arange(int(taken.sum()))
