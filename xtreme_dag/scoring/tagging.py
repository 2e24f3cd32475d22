"""Chunk F1 as seqeval 1.2.2 computes it in its default (conlleval) mode: WikiANN, and bare UPOS tags.

seqeval reads the first character of a tag as its prefix and the rest, after a hyphen if there is one, as its type.
With IOB2 tags that gives the usual chunks. With bare UPOS tags it gives runs of equal tags, with S, I and E prefixes
where a tag happens to begin so (SYM and SCONJ are single-token chunks, INTJ continues), and one more oddity: a tag of
one letter (X) has no type of its own, so that an X after a sentence boundary does not start a chunk but ends one that
began where the last chunk began, perhaps sentences earlier. Official figures contain all of that, hence ours do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtreme_dag.scoring.columns import OVERLAP, Family, FloatArray, ratio
from xtreme_dag.scoring.tagcodes import END_OF_SENTENCE, SENTENCES, TagCodes

FAMILY = Family(metrics=(*OVERLAP, ratio("token_accuracy", "s_tokens_correct", "s_tokens")), primary="f1")

_BYTE = 256
_PREFIXES = "BIESO."
_PREFIX_KINDS = len(_PREFIXES) + 1
_END, _START = 1, 2
_COLUMNS = ("s_tp", "s_pred", "s_gold", "s_tokens_correct", "s_tokens")


def statistics(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, FloatArray]:
    """Counts chunks and tokens of each sentence.

    A chunk counts for the sentence in which it ends. Sums over all sentences, in this order, are seqeval's counts.

    Args:
        gold: tags of each sentence.
        predicted: tags of each sentence, as many as gold ones.

    Returns:
        `s_tp`, `s_pred`, `s_gold` (chunks) and `s_tokens_correct`, `s_tokens`, each (sentences,).

    Raises:
        ValueError: numbers of sentences or of tags differ, or a tag is empty.
    """
    codes = TagCodes()
    try:
        counted = statistics_of_codes(codes.of_sentences(gold), codes.of_sentences(predicted), codes.tags)
    except ValueError:
        counted = {}
    if not counted or len(counted["s_tokens"]) != len(gold):
        mismatch = first_mismatch(gold, predicted)
        raise ValueError(f"tags do not match: {mismatch}" if mismatch else "a tag is empty")
    return counted


def statistics_of_codes(
    gold: NDArray[np.integer[Any]], predicted: NDArray[np.integer[Any]], tags: Sequence[str]
) -> dict[str, FloatArray]:
    """The same from numbers of tags, as `TagCodes` or an evaluation's own labels give them.

    Args:
        gold: number of each tag, and 0 after each sentence, (tags and sentences,).
        predicted: likewise, 0 at the same places.
        tags: the tag of each number; that of 0 is not looked at.

    Returns:
        As `statistics`.

    Raises:
        ValueError: sentences do not end at the same places.
    """
    ends = gold == END_OF_SENTENCE
    if not np.array_equal(ends, predicted == END_OF_SENTENCE) or not ends[-1:].all():
        raise ValueError("sentences do not end at the same places")
    last = np.flatnonzero(ends)
    kind = np.uint8 if len(tags) <= _BYTE else np.uint32
    rules, agreed, start = _Rules(tags), True, 0
    columns = {name: np.zeros(len(last)) for name in _COLUMNS}
    for low in range(0, len(last), SENTENCES):
        block = last[low : low + SENTENCES]
        part = slice(start, int(block[-1]) + 1)
        counts, agreed = _count(
            gold[part].astype(kind), predicted[part].astype(kind), block - start, rules, agreed, low == 0
        )
        for name, count in zip(_COLUMNS, counts, strict=True):
            columns[name][low : low + SENTENCES] = count
        start = part.stop
    return columns


def _count(
    gold: NDArray[Any], predicted: NDArray[Any], last: NDArray[np.intp], rules: _Rules, agreed: bool, first: bool
) -> tuple[list[NDArray[Any]], bool]:
    """The counts of some sentences, in the order of `_COLUMNS`.

    Args:
        gold: number of each tag, and 0 after each sentence, (codes,).
        predicted: likewise.
        last: where sentences end, (sentences,).
        rules: how to read the tags.
        agreed: whether the last chunks of all sentences before began at the same place.
        first: whether there are no sentences before.

    Returns:
        The counts, each (sentences,), and whether the last chunks of these sentences and those before began at the
        same place.
    """
    gold_changes, predicted_changes = rules.changes(gold), rules.changes(predicted)
    both, either = gold_changes & predicted_changes, gold_changes | predicted_changes
    if first:
        # seqeval lets a chunk that never started begin at the first position, so every chunk can begin there.
        both[:1] |= _START
        either[:1] |= _START
    right = np.flatnonzero((both & _END).view(bool))
    # What ends at position i ends with the tag before it.
    right = right[rules.types[gold[right - 1]] == rules.types[predicted[right - 1]]]
    starts = (either & _START) >> 1
    same = np.concatenate((np.array([agreed]), both[np.flatnonzero(starts.view(bool))] >= _START))
    right = right[same[np.cumsum(starts, dtype=np.int32)[right - 1]]]
    hits = np.zeros(len(gold), dtype=np.uint8)
    hits[right] = 1

    def per_sentence(flags: NDArray[Any]) -> NDArray[Any]:
        return _differences(np.cumsum(flags, dtype=np.int32).take(last))

    tokens = _differences(last + 1) - 1
    # The end of a sentence is the same in both.
    correct = per_sentence((gold == predicted).view(np.uint8)) - 1
    counts = [per_sentence(hits), per_sentence(predicted_changes & _END), per_sentence(gold_changes & _END)]
    return [*counts, correct, tokens], bool(same[-1])


def _differences(totals: NDArray[Any]) -> NDArray[Any]:
    """Each number less the one before it, the first less 0."""
    found = totals.copy()
    found[1:] -= totals[:-1]
    return found


def first_mismatch(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> str:
    """Says in words where two tag files first differ in shape; empty when they do not."""
    if len(gold) != len(predicted):
        return f"{len(predicted)} predicted sentences for {len(gold)} gold ones"
    for index, (wanted, given) in enumerate(zip(gold, predicted, strict=True)):
        if len(wanted) != len(given):
            return f"sentence {index + 1} has {len(wanted)} gold tags and {len(given)} predicted ones"
    return ""


class _Rules:
    """How seqeval reads tags.

    The prefix is the first character, the type what follows it, and a hyphen; a tag without a type has '_'.

    Attributes:
        types: number of the type of each tag.
    """

    def __init__(self, tags: Sequence[str]) -> None:
        read = ["O", *tags[1:]]
        types = [tag[1:].split("-", maxsplit=1)[-1] or "_" for tag in read]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(types))}
        self.types = np.array([numbers[name] for name in types], dtype=np.intp)
        self._prefixes = np.array([_PREFIXES.find(tag[0]) % _PREFIX_KINDS for tag in read], dtype=np.intp)
        self._kinds = len(read)
        every = np.arange(self._kinds if self._kinds <= _BYTE else 0)
        self._table = self._change(every[:, None], every[None, :]).ravel()
        # `bytes.translate` needs no array of indices.
        self._bytes = self._table.tobytes().ljust(_BYTE, b"\0") if len(self._table) <= _BYTE else b""

    def changes(self, codes: NDArray[Any]) -> NDArray[np.uint8]:
        """For each tag whether a chunk ends before it (`_END`) and whether one starts with it (`_START`): (codes,).

        seqeval puts an 'O' after each sentence and reads all sentences as one sequence, and so does this.
        """
        before, after = np.zeros_like(codes), codes
        before[1:] = codes[:-1]
        if self._kinds > _BYTE:
            return self._change(before, after)
        if self._bytes:
            pairs = (before * np.uint8(self._kinds) + after).tobytes()
            return np.frombuffer(pairs.translate(self._bytes), dtype=np.uint8)
        found: NDArray[np.uint8] = self._table.take(before * np.uint16(self._kinds) + after)
        return found

    def _change(self, before: NDArray[Any], after: NDArray[Any]) -> NDArray[np.uint8]:
        other_type = self.types[before] != self.types[after]
        changes: NDArray[np.uint8] = _CHANGES[self._prefixes[before], self._prefixes[after], other_type.view(np.uint8)]
        return changes


def _chunk_ends(before: str, after: str, other_type: bool) -> bool:
    """The rule of conlleval for a chunk that ends between two tags, by their prefixes."""
    return (
        before in "ES"
        or (before in "BI" and after in "BSO")
        or (before not in "O." and other_type)
    )  # fmt: skip


def _chunk_starts(before: str, after: str, other_type: bool) -> bool:
    """The rule of conlleval for a chunk that starts at the second of two tags, by their prefixes."""
    return (
        after in "BS"
        or (before in "ESO" and after in "EI")
        or (after not in "O." and other_type)
    )  # fmt: skip


# Any other first letter is one kind, written '*'. Rows: the prefix before, columns: the prefix after, other type.
_CHANGES: NDArray[np.uint8] = np.array(
    [
        [
            [
                _END * _chunk_ends(before, after, other) + _START * _chunk_starts(before, after, other)
                for other in (False, True)
            ]
            for after in _PREFIXES + "*"
        ]
        for before in _PREFIXES + "*"
    ],
    dtype=np.uint8,
)
