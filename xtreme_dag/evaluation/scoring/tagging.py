"""Chunk F1 as seqeval 1.2.2 computes it in its default (conlleval) mode: WikiANN, and bare UPOS tags.

seqeval reads the first character of a tag as its prefix and the rest, after a hyphen if there is one, as its type.
With IOB2 tags that gives the usual chunks. With bare UPOS tags it gives runs of equal tags, with S, I and E prefixes
where a tag happens to begin so (SYM and SCONJ are single-token chunks, INTJ continues), and one more oddity: a tag of
one letter (X) has no type of its own, so that an X after a sentence boundary does not start a chunk but ends one that
began where the last chunk began, perhaps sentences earlier. Official figures contain all of that, hence ours do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtreme_dag.evaluation.scoring.columns import FloatArray

Numbers = NDArray[Any]
"""Small numbers: uint8 or bool where they fit, else uint32."""

_BYTE = 256
_PREFIXES = "BIESO."
_PREFIX_KINDS = len(_PREFIXES) + 1


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
    lengths = list(map(len, gold))
    if lengths != list(map(len, predicted)):
        raise ValueError(f"tags do not match: {first_mismatch(gold, predicted)}")
    if not lengths:
        return {name: np.zeros(0) for name in ("s_tp", "s_pred", "s_gold", "s_tokens_correct", "s_tokens")}
    codes = _Codes()
    gold_text, predicted_text = codes.encode(gold), codes.encode(predicted)
    gold_codes, predicted_codes = codes.array(gold_text), codes.array(predicted_text)
    rules = codes.rules()
    sizes = np.array(lengths, dtype=np.intp)
    gold_ends, gold_starts = _chunks(gold_codes, sizes, rules)
    predicted_ends, predicted_starts = _chunks(predicted_codes, sizes, rules)
    both = np.flatnonzero(gold_ends & predicted_ends)
    both = both[rules.types[gold_codes[both]] == rules.types[predicted_codes[both]]]
    both = both[_same_start(gold_starts, predicted_starts, both)]
    sentence = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)

    def per_sentence(positions: NDArray[np.intp]) -> FloatArray:
        return np.bincount(sentence[positions], minlength=len(sizes)).astype(np.float64)

    return {
        "s_tp": per_sentence(both),
        "s_pred": per_sentence(np.flatnonzero(predicted_ends)),
        "s_gold": per_sentence(np.flatnonzero(gold_ends)),
        "s_tokens_correct": sizes - per_sentence(np.flatnonzero(gold_codes != predicted_codes)),
        "s_tokens": sizes.astype(np.float64),
    }


def first_mismatch(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> str:
    """Says in words where two tag files first differ in shape; empty when they do not."""
    if len(gold) != len(predicted):
        return f"{len(predicted)} predicted sentences for {len(gold)} gold ones"
    for index, (wanted, given) in enumerate(zip(gold, predicted, strict=True)):
        if len(wanted) != len(given):
            return f"sentence {index + 1} has {len(wanted)} gold tags and {len(given)} predicted ones"
    return ""


@dataclass(frozen=True, kw_only=True)
class _Rules:
    """How seqeval reads the tags of some codes: number of the prefix and of the type of each; 'O' is code 0."""

    prefixes: Numbers
    types: Numbers


class _Codes(dict[str, str]):
    """Tags -> characters, numbered in order of appearance; 'O', which stands between sentences, is number 0."""

    def __init__(self) -> None:
        super().__init__(O=chr(0))

    def __missing__(self, tag: str) -> str:
        if not tag:
            raise ValueError("a tag is empty")
        self[tag] = code = chr(len(self))
        return code

    def encode(self, sentences: Sequence[Sequence[str]]) -> str:
        """Codes of all tags: one string with a character per tag is the fastest way into an array."""
        return "".join(map(self.__getitem__, chain.from_iterable(sentences)))

    def array(self, text: str) -> Numbers:
        """The numbers of an encoded text, (tokens,)."""
        if len(self) <= _BYTE:
            return np.frombuffer(text.encode("latin-1"), dtype=np.uint8)
        return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)

    def rules(self) -> _Rules:
        """The prefix is the first character, the type what follows it, and a hyphen; a tag without a type has '_'."""
        types = [tag[1:].split("-", maxsplit=1)[-1] or "_" for tag in self]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(types))}
        kind = np.uint8 if len(self) <= _BYTE else np.uint32
        return _Rules(
            prefixes=np.array([_PREFIXES.find(tag[0]) % _PREFIX_KINDS for tag in self], dtype=np.uint8),
            types=np.array([numbers[name] for name in types], dtype=kind),
        )


def _chunks(codes: Numbers, sizes: NDArray[np.intp], rules: _Rules) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether a chunk ends with each tag, and whether one starts with it: two (tokens,).

    seqeval puts an 'O' after each sentence and reads all sentences as one sequence, and so does this.

    Args:
        codes: codes of the tags, (tokens,).
        sizes: number of tags of each sentence, (sentences,).
        rules: how to read the codes.
    """
    kinds, types = _look_up(rules.prefixes, codes), _look_up(rules.types, codes)
    ends, starts = np.empty(len(codes), dtype=bool), np.empty(len(codes), dtype=bool)
    inside = _change(kinds[:-1], kinds[1:], types[:-1] != types[1:])
    ends[:-1], starts[1:] = _look_up(_ENDS, inside), _look_up(_STARTS, inside)
    outside, no_type = rules.prefixes[:1], rules.types[0]
    after = np.cumsum(sizes[sizes > 0])
    first, last = after - sizes[sizes > 0], after - 1
    ends[last] = _ENDS[_change(kinds[last], outside, types[last] != no_type)]
    starts[first] = _STARTS[_change(outside, kinds[first], types[first] != no_type)]
    if sizes[0]:
        # seqeval lets a chunk that never started begin at the first position, so every chunk can begin there.
        starts[0] = True
    return ends, starts


def _look_up(table: Numbers, indices: Numbers) -> Numbers:
    """Entries of a table; small tables of bytes are read by `bytes.translate`, which needs no array of indices."""
    if table.itemsize == indices.itemsize == 1:
        return np.frombuffer(indices.tobytes().translate(table.tobytes().ljust(_BYTE, b"\0")), dtype=table.dtype)
    return table[indices]


def _change(before: Numbers, after: Numbers, other_type: NDArray[np.bool_]) -> Numbers:
    """The row of `_CHANGES` for each pair of neighbours."""
    return before * np.uint8(2 * _PREFIX_KINDS) + after * np.uint8(2) + other_type


def _same_start(first: NDArray[np.bool_], second: NDArray[np.bool_], ends: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether the last starts up to some positions are the same in two sequences."""
    either = first | second
    # Before any start both have none, which is the same.
    agreed = np.concatenate(([True], (first & second)[either]))
    return agreed[np.cumsum(either, dtype=np.int32)[ends]]


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


# Any other first letter is one kind, written '*'.
_CHANGES = [(b, a, t) for b in _PREFIXES + "*" for a in _PREFIXES + "*" for t in (False, True)]
_ENDS: NDArray[np.bool_] = np.array([_chunk_ends(*change) for change in _CHANGES])
_STARTS: NDArray[np.bool_] = np.array([_chunk_starts(*change) for change in _CHANGES])
