"""Span QA: the question before overlapping windows of the context, with character offsets back to the text."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from xtreme_dag.core.errors import UserError
from xtreme_dag.tables.encode.parts import Encoded, EncodeParams, flatten, ragged, texts
from xtreme_dag.tables.tokenizer import Flat, Frame, TextTokenizer

Int32 = npt.NDArray[np.int32]


def encode_span(table: pa.Table, params: EncodeParams, tokenizer: TextTokenizer) -> Encoded:
    """Windows that start every `doc_stride` context tokens (less, where a window is shorter than that).

    A window is labelled with the first gold answer if it holds all of it, else with (0, 0), the first token. Every
    context is tokenised once, however many questions it has.
    """
    frame = tokenizer.frame(pair=True)
    questions = [pieces[: params.query_length] for pieces, _ in tokenizer.pieces(texts(table, "question"))]
    contexts = texts(table, "context")
    distinct = list(dict.fromkeys(contexts))
    pieces_of = dict(zip(distinct, tokenizer.pieces(distinct), strict=True))
    answers = table["answers"].to_pylist()
    ids: list[Int32] = []
    types: list[npt.NDArray[np.int8]] = []
    offsets: list[Int32] = []
    example: list[int] = []
    starts: list[int] = []
    ends: list[int] = []
    for row, (question, context) in enumerate(zip(questions, contexts, strict=True)):
        pieces, places = pieces_of[context]
        room = params.max_length - len(question) - frame.size
        if room < 1:
            raise UserError(f"max_length {params.max_length} leaves no room for a context beside the question")
        answer = answer_tokens(places, _first_answer(answers[row]))
        for low, high in span_windows(len(pieces), room, params.doc_stride):
            shift = len(frame.before) + len(question) + len(frame.between) - low
            window_ids, window_types = frame_pair(question, pieces[low:high], frame)
            ids.append(window_ids)
            types.append(window_types)
            offsets.append(_framed_offsets(places[low:high], shift + low, len(frame.after)))
            example.append(row)
            inside = answer is not None and low <= answer[0] and answer[1] < high
            starts.append(answer[0] + shift if inside and answer else 0)
            ends.append(answer[1] + shift if inside and answer else 0)
    lengths = np.array([len(window) for window in ids], dtype=np.int64)
    answered = np.bincount(np.array(example, np.int64)[np.array(ends, np.int64) > 0], minlength=table.num_rows) > 0
    return Encoded(
        rows=np.arange(table.num_rows),
        example=np.array(example, dtype=np.int64),
        flat=Flat(
            ids=flatten(ids, np.int32),
            lengths=lengths,
            type_ids=flatten(types, np.int8) if tokenizer.type_ids else None,
            truncated=0,
        ),
        examples={"answerable": table["answerable"].combine_chunks()},
        sequences={
            "start": pa.array(starts, pa.int32()),
            "end": pa.array(ends, pa.int32()),
            "offsets": ragged(offsets, np.int32),
        },
        counts={"examples_without_labelled_window": int((~answered).sum())},
    )


def _first_answer(answers: list[dict[str, Any]] | None) -> tuple[int, int] | None:
    """Character range of the first gold answer, None where there is none or it is empty."""
    if not answers or not answers[0]["text"] or answers[0]["start"] is None:
        return None
    start = int(answers[0]["start"])
    return start, start + len(answers[0]["text"])


def answer_tokens(offsets: Int32, answer: tuple[int, int] | None) -> tuple[int, int] | None:
    """First and last context token that overlap a character range, or None.

    Args:
        offsets: int32 `[tokens, 2]` character ranges of the context's tokens.
        answer: first character and the character after the last.
    """
    if answer is None:
        return None
    touching = np.flatnonzero(
        (offsets[:, 0] < answer[1]) & (offsets[:, 1] > answer[0]) & (offsets[:, 0] < offsets[:, 1])
    )
    return (int(touching[0]), int(touching[-1])) if len(touching) else None


def span_windows(tokens: int, room: int, stride: int) -> list[tuple[int, int]]:
    """Ranges of at most `room` context tokens whose starts are `stride` apart (`room`, if that is less)."""
    step = max(1, min(stride, room))
    ranges = []
    low = 0
    while True:
        high = min(low + room, tokens)
        ranges.append((low, high))
        if high == tokens:
            return ranges
        low += step


def frame_pair(first: Int32, second: Int32, frame: Frame) -> tuple[Int32, npt.NDArray[np.int8]]:
    """Ids and token types of two texts with their special tokens."""
    before, between, after = (np.array(part, np.int32) for part in (frame.before, frame.between, frame.after))
    ids = np.concatenate([before, first, between, second, after])
    types = np.concatenate([
        np.zeros(len(before) + len(first), np.int8),
        np.array(frame.between_type, np.int8),
        np.full(len(second) + len(after), frame.second_type, np.int8),
    ])  # fmt: skip
    return ids, types


def _framed_offsets(offsets: Int32, before: int, after: int) -> Int32:
    """Flattened offsets of a window: -1 outside the context."""
    return np.pad(offsets, ((before, after), (0, 0)), constant_values=-1).reshape(-1)
