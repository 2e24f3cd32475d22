"""Near duplicates: MinHash signatures of character n-grams find candidates, the n-grams themselves decide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

NEAR = 0.75  # share of common n-grams (Jaccard) from which on two texts are near duplicates
GRAM = 4  # characters of a folded text
BANDS, ROWS = 16, 4  # two examples of similarity 0.75 are a candidate with probability 1 - (1 - 0.75**4)**16 = 0.998
_SLACK = 0.2  # four standard errors of a similarity that 64 minima estimate
_TOGETHER = 4096  # examples whose n-grams are hashed together: what fits a processor's cache
_TRIES = 16  # candidates of an example that are looked at, the most similar first

_END = "\0"  # not in a folded text
_BASE = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = np.random.default_rng(7).integers(0, 2**31, BANDS * ROWS, dtype=np.uint32) * np.uint32(2) + np.uint32(1)

Fields = Sequence[str]  # the folded texts of an example
Signatures = np.ndarray[tuple[int, int], np.dtype[np.uint32]]
Keys = np.ndarray[tuple[int, int], np.dtype[np.uint64]]


class Near:
    """The near duplicates among some examples of others that are given to it a batch at a time.

    Two examples are near duplicates if each text of one (premise and hypothesis, question and context, ...) shares
    at least `NEAR` of its character n-grams with the same text of the other: a shared passage alone is none.

    Args:
        examples: the folded texts of each example, all of the same number of texts.
    """

    def __init__(self, examples: Sequence[Fields]) -> None:
        self._examples = examples
        self._signatures = signatures(examples)
        keys = _band_keys(self._signatures)
        self._order = np.argsort(keys, axis=0, kind="stable")
        self._keys = np.take_along_axis(keys, self._order, axis=0)

    def among(self, others: Sequence[Fields], open: np.ndarray) -> Iterator[tuple[int, int]]:
        """Pairs (example, other) of near duplicates: one for each example that has any.

        Args:
            others: further examples.
            open: the examples that are looked for, (examples,) of bool.
        """
        theirs = signatures(others)
        pairs = self._candidates(_band_keys(theirs), open)
        like = (self._signatures[pairs[:, 0]] == theirs[pairs[:, 1]]).mean(axis=1)
        keep = like >= NEAR - _SLACK
        pairs, like = pairs[keep], like[keep]
        order = np.lexsort((-like, pairs[:, 0]))
        pairs = pairs[order]
        firsts = np.flatnonzero(np.diff(pairs[:, 0], prepend=-1))
        for first, last in zip(firsts, np.append(firsts[1:], len(pairs)), strict=False):
            example = int(pairs[first, 0])
            for other in pairs[first : min(last, first + _TRIES), 1].tolist():
                if are_near(self._examples[example], others[other]):
                    yield example, other
                    break

    def _candidates(self, keys: Keys, open: np.ndarray) -> np.ndarray:
        """Pairs that share the minima of a band, each once: (pairs, 2)."""
        found = []
        for band in range(BANDS):
            low = np.searchsorted(self._keys[:, band], keys[:, band], side="left")
            many = np.searchsorted(self._keys[:, band], keys[:, band], side="right") - low
            others = np.repeat(np.arange(len(keys)), many)
            within = np.arange(len(others)) - np.repeat(np.cumsum(many) - many, many)
            examples = self._order[np.repeat(low, many) + within, band]
            wanted = open[examples]
            found.append(examples[wanted] * len(keys) + others[wanted])
        every = np.unique(np.concatenate(found))
        return np.stack(np.divmod(every, max(1, len(keys))), axis=1)


def are_near(one: Fields, other: Fields) -> bool:
    """Whether each text of an example is a near duplicate of the same text of another."""
    return all(_share(mine, theirs) >= NEAR for mine, theirs in zip(one, other, strict=True))


def _share(one: str, other: str) -> float:
    if one == other:
        return 1.0
    mine, theirs = _grams(one), _grams(other)
    return len(mine & theirs) / len(mine | theirs)


def _grams(text: str) -> set[str]:
    return {text[start : start + GRAM] for start in range(max(1, len(text) - GRAM + 1))}


def signatures(examples: Sequence[Fields]) -> Signatures:
    """The minima of `BANDS` x `ROWS` hashes of each example's n-grams, (examples, minima); of no n-gram the largest."""
    parts = [_signatures(examples[start : start + _TOGETHER]) for start in range(0, len(examples), _TOGETHER)]
    return np.concatenate(parts) if parts else np.empty((0, BANDS * ROWS), dtype=np.uint32)


def _signatures(examples: Sequence[Fields]) -> Signatures:
    pad = _END * (GRAM - 1)
    whole = [pad.join(fields) + pad for fields in examples]
    points = np.frombuffer("".join(whole).encode("utf-32-le"), dtype=np.uint32)
    grams = np.zeros(len(points) - GRAM + 1, dtype=np.uint64)
    for place in range(GRAM):
        grams = grams * _BASE + points[place : place + len(grams)]
    grams ^= grams >> np.uint64(29)
    grams *= np.uint64(0xBF58476D1CE4E5B9)
    mixed = (grams >> np.uint64(32)).astype(np.uint32)
    real = points[: len(grams)] != 0
    ends = np.cumsum([len(text) for text in whole])
    counts = np.diff(np.concatenate([[0], np.cumsum(real)])[np.minimum(ends, len(grams))], prepend=0)
    made = np.full((len(examples), len(_FACTORS)), np.iinfo(np.uint32).max, dtype=np.uint32)
    some = counts > 0
    starts = (np.cumsum(counts) - counts)[some]
    mixed = mixed[real]
    for number, factor in enumerate(_FACTORS):
        made[some, number] = np.minimum.reduceat(mixed * factor, starts)
    return made


def _band_keys(signatures: Signatures) -> Keys:
    bands = signatures.reshape(len(signatures), BANDS, ROWS).astype(np.uint64)
    keys = np.zeros(bands.shape[:2], dtype=np.uint64)
    for row in range(ROWS):
        keys = (keys ^ bands[:, :, row]) * _BASE
    return keys
