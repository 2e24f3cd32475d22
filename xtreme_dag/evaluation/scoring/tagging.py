"""Chunk F1 as seqeval 1.2.2 computes it in its default (conlleval) mode: WikiANN, and bare UPOS tags.

seqeval reads the first character of a tag as its prefix and the rest, after a hyphen if there is one, as its type.
With IOB2 tags that gives the usual chunks. With bare UPOS tags it gives runs of equal tags, with S, I and E prefixes
where a tag happens to begin so (SYM and SCONJ are single-token chunks, INTJ continues), and one more oddity: a tag of
one letter (X) has no type of its own, so that an X after a sentence boundary does not start a chunk but ends one that
began where the last chunk began, perhaps sentences earlier. Official figures contain all of that, hence ours do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from xtreme_dag.evaluation.scoring.columns import FloatArray

IntArray = NDArray[np.intp]

_SEPARATOR = ("O",)
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
    gold_codes, predicted_codes = codes.encode(gold), codes.encode(predicted)
    prefixes, types = codes.tables()
    gold_ends, gold_types, gold_starts = _chunks(gold_codes, prefixes, types)
    predicted_ends, predicted_types, predicted_starts = _chunks(predicted_codes, prefixes, types)

    sizes = np.array(lengths, dtype=np.intp)
    # Position of each sentence's closing separator, and so the sentence of every position.
    sentence = np.repeat(np.arange(len(sizes)), sizes + 1)
    same = gold_ends & predicted_ends & (gold_types == predicted_types) & (gold_starts == predicted_starts)
    right = gold_codes == predicted_codes
    right[np.cumsum(sizes + 1) - 1] = False

    def per_sentence(mask: NDArray[np.bool_]) -> FloatArray:
        return np.bincount(sentence[mask], minlength=len(sizes)).astype(np.float64)

    return {
        "s_tp": per_sentence(same),
        "s_pred": per_sentence(predicted_ends),
        "s_gold": per_sentence(gold_ends),
        "s_tokens_correct": per_sentence(right),
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


class _Codes(dict[str, str]):
    """Tags -> characters, numbered in order of appearance; 'O', the sentence separator, is number 0."""

    def __init__(self) -> None:
        super().__init__(O=chr(0))

    def __missing__(self, tag: str) -> str:
        if not tag:
            raise ValueError("a tag is empty")
        self[tag] = code = chr(len(self))
        return code

    def encode(self, sentences: Iterable[Sequence[str]]) -> IntArray:
        """Codes of all tags, an 'O' after each sentence: (tokens + sentences,).

        A string of one character per tag is the fastest way from a list of strings to an array.
        """
        tags = chain.from_iterable(chain.from_iterable(zip(sentences, repeat(_SEPARATOR))))
        text = "".join(map(self.__getitem__, tags))
        return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.intp)

    def tables(self) -> tuple[IntArray, IntArray]:
        """Prefix kind and type number of each code."""
        names = {tag: tag[1:].split("-", maxsplit=1)[-1] or "_" for tag in self}
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names.values()))}
        prefixes = [_PREFIXES.find(tag[0]) % _PREFIX_KINDS for tag in self]
        return np.array(prefixes, dtype=np.intp), np.array([numbers[names[tag]] for tag in self], dtype=np.intp)


def _chunks(codes: IntArray, prefixes: IntArray, types: IntArray) -> tuple[NDArray[np.bool_], IntArray, IntArray]:
    """Where chunks end, and for every position its type and the start of the chunk it would close.

    Args:
        codes: tags with an 'O' after each sentence, (positions,).
        prefixes: prefix kind of each code.
        types: type number of each code.

    Returns:
        Whether a chunk ends after each position, the type at it, the last start up to it; each (positions,).
    """
    kind, kinds = prefixes[codes], types[codes]
    # One more 'O' closes the sequence, one stands before it; the type before the first tag equals no other.
    before = np.concatenate(([_PREFIXES.index("O")], kind))
    after = np.concatenate((kind, [_PREFIXES.index("O")]))
    type_before, type_after = np.concatenate(([-1], kinds)), np.concatenate((kinds, [types[0]]))
    change = (before * _PREFIX_KINDS + after) * 2 + (type_before != type_after)
    starts = _STARTS[change][:-1]
    positions = np.arange(len(codes))
    return _ENDS[change][1:], kinds, np.maximum.accumulate(np.where(starts, positions, 0))


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
