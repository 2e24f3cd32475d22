"""Tags as small numbers, from lists of texts or straight from the bytes of a file.

Both come to the same form first, the lines of a tag file: one tag per line, a blank line after each sentence. Lines
become numbers a block at a time, so that all that is touched stays in the processor's cache. A line of up to
eight bytes is one integer, and that integer's place in a small table without collisions gives its number; whatever
does not fit in there (long tags, many kinds of tags) goes through a dictionary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.uint8 | np.uint32]
"""Numbers of tags: bytes where there are at most 256 kinds."""

BYTES = 256
SENTENCES = 2000
"""Sentences to a block of lists, some 20,000 lines."""
BLOCK = 1 << 16
"""Bytes to a block of a file, some 20,000 lines."""
END_OF_SENTENCE = 0
"""The number of a blank line. seqeval reads the end of a sentence as an O, so that is its tag."""

_NEWLINE = ord("\n")
_WIDTH = 8
_SLOT_BITS = 12
_KINDS = 64
"""Up to so many kinds a multiplier without collisions among 4,096 slots is found in a few tries."""
# The low bytes of an integer, 0 to 8 of them.
_LOW = np.array([(1 << 8 * size) - 1 for size in range(_WIDTH + 1)], dtype=np.uint64)
_WORD = (1 << 64) - 1


class TagCodes:
    """Tags numbered in order of appearance, from 1 on; 0 is the end of a sentence.

    Attributes:
        tags: the tag of each number.
    """

    def __init__(self) -> None:
        self.tags = ["O"]
        self._numbers = {b"": END_OF_SENTENCE}
        self._multiplier = 0x9E3779B97F4A7C15
        self._keys = np.zeros(1 << _SLOT_BITS, dtype=np.uint64)
        self._codes = np.zeros(1 << _SLOT_BITS, dtype=np.uint32)

    def of_sentences(self, sentences: Sequence[Sequence[str]]) -> Numbers:
        """Numbers of the tags of each sentence, 0 after each: (tags and sentences,); an empty tag gives a 0 too."""
        return self._joined(
            self._of_lists(sentences[low : low + SENTENCES]) for low in range(0, len(sentences), SENTENCES)
        )

    def of_lines(self, lines: bytes) -> Numbers:
        """Numbers of the lines of a text in which each ends with a line break: (lines,)."""
        return self._joined(map(self._of_block, _blocks(lines)))

    def _joined(self, blocks: Iterable[NDArray[np.uint32]]) -> Numbers:
        # Bytes as long as they do: the less memory is touched the better.
        narrow: list[Numbers] = [block.astype(np.uint8) if len(self.tags) <= BYTES else block for block in blocks]
        return np.concatenate(narrow) if narrow else np.zeros(0, dtype=np.uint8)

    def _of_lists(self, sentences: Sequence[Sequence[str]]) -> NDArray[np.uint32]:
        flat: list[str] = []
        for sentence in sentences:
            flat += sentence
            flat.append("")
        flat.append("")
        codes = self._of_block("\n".join(flat).encode("utf-8", "surrogatepass"))
        if len(codes) > len(flat) - 1:
            # A tag has a line break in it.
            codes = self._one_by_one([tag.encode("utf-8", "surrogatepass") for tag in flat[:-1]])
        return codes

    def _of_block(self, lines: bytes) -> NDArray[np.uint32]:
        characters = np.frombuffer(lines + bytes(_WIDTH), dtype=np.uint8)
        ends = np.flatnonzero(characters == _NEWLINE)
        starts = np.empty_like(ends)
        starts[:1] = 0
        np.add(ends[:-1], 1, out=starts[1:])
        sizes = ends - starts
        # A zero byte would be taken for the padding of a shorter tag.
        if sizes.max(initial=0) <= _WIDTH and b"\0" not in lines:
            words: NDArray[np.uint64] = np.ndarray(len(lines), dtype="<u8", buffer=characters.data, strides=(1,))
            keys = words.take(starts)
            keys &= _LOW.take(sizes)
            places = self._places(keys)
            strange = self._keys.take(places) != keys
            if not strange.any():
                return self._codes.take(places)
            if self._learn(keys[strange]):
                return self._codes.take(self._places(keys))
        return self._one_by_one(lines.split(b"\n")[:-1])

    def _one_by_one(self, tags: Sequence[bytes]) -> NDArray[np.uint32]:
        return np.fromiter(map(self._number, tags), dtype=np.uint32, count=len(tags))

    def _number(self, tag: bytes) -> int:
        number = self._numbers.setdefault(tag, len(self.tags))
        if number == len(self.tags):
            self.tags.append(tag.decode("utf-8", "surrogatepass"))
        return number

    def _places(self, keys: NDArray[np.uint64]) -> NDArray[np.intp]:
        return ((keys * np.uint64(self._multiplier)) >> np.uint64(64 - _SLOT_BITS)).view(np.intp)

    def _learn(self, keys: NDArray[np.uint64]) -> bool:
        """Takes keys into the table; False if there are too many."""
        for key in dict.fromkeys(keys.tolist()):
            self._number(key.to_bytes(_WIDTH, "little").rstrip(b"\0"))
        fitting = {tag: code for tag, code in self._numbers.items() if len(tag) <= _WIDTH and b"\0" not in tag}
        short = {int.from_bytes(tag, "little"): code for tag, code in fitting.items()}
        if len(short) > _KINDS:
            return False
        known = np.array(list(short), dtype=np.uint64)
        while len(set(self._places(known).tolist())) < len(known):
            self._multiplier = (self._multiplier * 0xD1342543DE82EF95 + 2) & _WORD
        places = self._places(known)
        self._keys[:] = 0
        self._keys[places], self._codes[places] = known, list(short.values())
        return True


def _blocks(lines: bytes) -> Iterator[bytes]:
    """The text cut at ends of lines."""
    low = 0
    while low < len(lines):
        high = lines.find(b"\n", low + BLOCK) + 1 or len(lines)
        yield lines[low:high]
        low = high
