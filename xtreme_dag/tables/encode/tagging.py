"""Tagging: words to pieces, the label on the first piece, long sentences in windows of whole words."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from xtreme_dag.core.errors import UserError
from xtreme_dag.tables.encode.parts import Encoded, EncodeParams, flatten, ragged, tag_numbers
from xtreme_dag.tables.tokenizer import Flat, Frame, TextTokenizer

Int32 = npt.NDArray[np.int32]


def encode_tagging(table: pa.Table, params: EncodeParams, tokenizer: TextTokenizer) -> Encoded:
    """Windows of whole words; every word has exactly one labelled piece in exactly one window.

    A word without pieces, or with more than a window holds, becomes the unknown token, as XTREME's tagger does.
    """
    frame = tokenizer.frame(pair=False)
    room = params.max_length - frame.size
    if room < 1:
        raise UserError(f"max_length {params.max_length} leaves no room beside {frame.size} special tokens")
    unknown = tokenizer.special_ids.get("unk", 0)
    sentences = table["words"].to_pylist()
    tags = tag_numbers(table, params.labels)
    ids: list[Int32] = []
    labels: list[Int32] = []
    words: list[Int32] = []
    example: list[int] = []
    replaced = 0
    for row, (pieces, word_of) in enumerate(tokenizer.words(sentences)):
        pieces, word_of, lost = mend_words(pieces, word_of, len(sentences[row]), room, unknown)
        replaced += lost
        gold = np.array(tags[row], dtype=np.int32)
        for low, high in windows(word_of, room):
            window = frame_window(pieces[low:high], word_of[low:high], gold, frame)
            ids.append(window[0])
            labels.append(window[1])
            words.append(window[2])
            example.append(row)
    lengths = np.array([len(window) for window in ids], dtype=np.int64)
    flat = Flat(
        ids=flatten(ids, np.int32),
        lengths=lengths,
        type_ids=np.zeros(int(lengths.sum()), np.int8) if tokenizer.type_ids else None,
        truncated=0,
    )
    return Encoded(
        rows=np.arange(table.num_rows),
        example=np.array(example, dtype=np.int64),
        flat=flat,
        examples={"words": pa.array([len(sentence) for sentence in sentences], pa.int32())},
        sequences={"labels": ragged(labels, np.int32), "word": ragged(words, np.int32)},
        counts={"words_as_unknown": replaced, "split_sentences": len(example) - len(set(example))},
    )


def mend_words(pieces: Int32, word_of: Int32, words: int, room: int, unknown: int) -> tuple[Int32, Int32, int]:
    """Gives each of `words` words at least one piece and at most `room`; returns also how many became unknown."""
    counts = np.bincount(word_of, minlength=words) if len(word_of) else np.zeros(words, np.int64)
    wrong = (counts == 0) | (counts > room)
    if not wrong.any():
        return pieces, word_of, 0
    kept = ~wrong[word_of] if len(word_of) else np.zeros(0, bool)
    lost = np.flatnonzero(wrong).astype(np.int32)
    all_words = np.concatenate([word_of[kept], lost])
    order = np.argsort(all_words, kind="stable")
    all_pieces = np.concatenate([pieces[kept], np.full(len(lost), unknown, np.int32)])
    return all_pieces[order], all_words[order], len(lost)


def windows(word_of: Int32, room: int) -> list[tuple[int, int]]:
    """Ranges of pieces, each at most `room` long, that end between words and together cover all of them in order."""
    ends = np.flatnonzero(np.append(word_of[1:] != word_of[:-1], True)) + 1 if len(word_of) else np.zeros(0, int)
    ranges: list[tuple[int, int]] = []
    low = 0
    while low < len(word_of):
        high = int(ends[np.searchsorted(ends, low + room, side="right") - 1])
        ranges.append((low, high))
        low = high
    return ranges or [(0, 0)]


def frame_window(pieces: Int32, word_of: Int32, gold: Int32, frame: Frame) -> tuple[Int32, Int32, Int32]:
    """Ids, labels (-100 off the first pieces) and word indices (-1 off them) of a window with its special tokens."""
    before, after = np.array(frame.before, np.int32), np.array(frame.after, np.int32)
    first = np.ones(len(word_of), bool)
    first[1:] = word_of[1:] != word_of[:-1]
    labels = np.where(first, gold[word_of], -100) if len(word_of) else np.zeros(0, np.int32)
    words = np.where(first, word_of, -1)
    pad_before, pad_after = len(before), len(after)
    return (
        np.concatenate([before, pieces, after]),
        np.pad(labels, (pad_before, pad_after), constant_values=-100).astype(np.int32),
        np.pad(words, (pad_before, pad_after), constant_values=-1).astype(np.int32),
    )
