"""The tokenizer as the encoder sees it: text in, flat token ids out, in batches, without padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from unicodedata import category

import numpy as np
import numpy.typing as npt

from xtreme_dag.core.errors import UserError

Ints = npt.NDArray[np.int64]

_CHUNK = 2_000


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The special tokens around one text, or around and between two.

    Attributes:
        before: token ids before the first text.
        between: token ids between the texts (empty for one text).
        after: token ids after the last text.
        second_type: token type id of the second text and what follows it.
        between_type: token type ids of `between`, one per token.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    second_type: int
    between_type: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many tokens the frame adds."""
        return len(self.before) + len(self.between) + len(self.after)


@dataclass(frozen=True, kw_only=True)
class Flat:
    """Token sequences end to end.

    Attributes:
        ids: int32 `[tokens]`.
        lengths: int64 `[sequences]`.
        type_ids: int8 `[tokens]`, or None where the tokenizer has no token types.
        truncated: how many sequences lost tokens to `max_length`.
    """

    ids: npt.NDArray[np.int32]
    lengths: Ints
    type_ids: npt.NDArray[np.int8] | None
    truncated: int


class TextTokenizer:
    """A fast tokenizer without padding, and the ids of its special tokens.

    Args:
        backend: a `tokenizers.Tokenizer` of its own: padding and truncation are set on it.
        specials: role (`pad`, `unk`, `mask`, `cls`, `sep`) -> token, for the roles that exist.
        type_ids: whether the model wants token type ids.
    """

    def __init__(self, backend: Any, *, specials: dict[str, str], type_ids: bool) -> None:
        self._backend = backend
        self._backend.no_padding()
        self._backend.no_truncation()
        self.type_ids = type_ids
        self.special_ids = {
            role: number for role, token in specials.items() if (number := self._backend.token_to_id(token)) is not None
        }
        self.vocabulary_size: int = self._backend.get_vocab_size(with_added_tokens=True)
        self._before_word = " " if self._needs_space() else ""

    def encode(self, first: Sequence[str], second: Sequence[str] | None, max_length: int) -> Flat:
        """Encodes texts or pairs of texts with their special tokens; pairs lose tokens from the longer text first."""
        self._backend.enable_truncation(max_length, strategy="longest_first")
        ids: list[npt.NDArray[np.int32]] = []
        types: list[npt.NDArray[np.int8]] = []
        lengths: list[int] = []
        truncated = 0
        for low in range(0, len(first), _CHUNK):
            high = min(low + _CHUNK, len(first))
            rows = first[low:high] if second is None else list(zip(first[low:high], second[low:high], strict=True))
            encodings = self._backend.encode_batch_fast(rows)
            flat: list[int] = []
            for encoding in encodings:
                row = encoding.ids
                flat += row
                lengths.append(len(row))
                truncated += bool(encoding.overflowing)
            ids.append(np.array(flat, dtype=np.int32))
            if self.type_ids:
                types.append(np.array([kind for encoding in encodings for kind in encoding.type_ids], dtype=np.int8))
        self._backend.no_truncation()
        return Flat(
            ids=_join(ids, np.int32),
            lengths=np.array(lengths, dtype=np.int64),
            type_ids=_join(types, np.int8) if self.type_ids else None,
            truncated=truncated,
        )

    def pieces(self, texts: Sequence[str]) -> Iterator[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]]:
        """Token ids and character offsets `[tokens, 2]` of each text, without special tokens.

        Offsets count Unicode code points. White space at the start of a token is left out of it, combining marks that
        follow it and are in no token (a normaliser composed or dropped them) are taken in.
        """
        for low in range(0, len(texts), _CHUNK):
            chunk = list(texts[low : low + _CHUNK])
            for text, encoding in zip(chunk, self._backend.encode_batch(chunk, add_special_tokens=False), strict=True):
                offsets = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
                yield np.array(encoding.ids, dtype=np.int32), _with_marks(text, _without_leading_space(text, offsets))

    def words(
        self, sentences: Sequence[Sequence[str]]
    ) -> Iterator[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]]:
        """Token ids and the word index of each token, each word tokenised on its own, without special tokens.

        Every word is tokenised as one inside a text: with a blank before it, where the tokenizer makes it part of words.
        """
        for low in range(0, len(sentences), _CHUNK):
            chunk = [[self._before_word + word for word in words] for words in sentences[low : low + _CHUNK]]
            for encoding in self._backend.encode_batch(chunk, is_pretokenized=True, add_special_tokens=False):
                words = np.array([-1 if word is None else word for word in encoding.word_ids], dtype=np.int32)
                yield np.array(encoding.ids, dtype=np.int32), words

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """All words and special tokens with their ids."""
        return dict(self._backend.get_vocab(with_added_tokens=True))

    @property
    def lower_cases(self) -> bool:
        """Whether capitals are lost."""
        normaliser = self._backend.normalizer
        return normaliser is not None and "ABC" not in str(normaliser.normalize_str("ABC"))

    def _needs_space(self) -> bool:
        """Whether a word on its own is tokenised otherwise than inside a text, and with a blank before it as there.

        So it is with byte-level tokenizers (RoBERTa, ModernBERT) and Gemma's; XLM-R's puts the blank there itself.
        """
        text = self._backend.encode("a a", add_special_tokens=False)
        inside = [token for token, (_, end) in zip(text.ids, text.offsets, strict=True) if end > 1]
        alone, spaced = (
            [token for token, word in zip(encoding.ids, encoding.word_ids, strict=True) if word == 1]
            for encoding in self._backend.encode_batch(
                [["a", "a"], [" a", " a"]], is_pretokenized=True, add_special_tokens=False
            )
        )
        return alone != inside and spaced == inside

    def frame(self, *, pair: bool) -> Frame:
        """The special tokens that the tokenizer puts around one text or two, found by looking at what it does."""
        probe = self._backend.encode("a", add_special_tokens=False)
        if not pair:
            whole = self._backend.encode("a").ids
            at = _find(whole, probe.ids, 0)
            return Frame(
                before=tuple(whole[:at]),
                between=(),
                after=tuple(whole[at + len(probe.ids) :]),
                second_type=0,
                between_type=(),
            )
        encoding = self._backend.encode("a", "a")
        whole, size = encoding.ids, len(probe.ids)
        one = _find(whole, probe.ids, 0)
        two = _find(whole, probe.ids, one + size)
        types = encoding.type_ids
        return Frame(
            before=tuple(whole[:one]),
            between=tuple(whole[one + size : two]),
            after=tuple(whole[two + size :]),
            second_type=types[two],
            between_type=tuple(types[one + size : two]),
        )


def _find(whole: list[int], part: list[int], low: int) -> int:
    """Where `part` starts in `whole`, from `low` on."""
    for at in range(low, len(whole) - len(part) + 1):
        if whole[at : at + len(part)] == part:
            return at
    raise UserError(
        "the tokenizer changes a text when it adds its special tokens",
        fix="use a tokenizer whose special tokens stand around the text (a template post-processor)",
    )


def _join(parts: list[Any], kind: Any) -> Any:
    """One array of many, also of none."""
    return np.concatenate(parts) if parts else np.zeros(0, dtype=kind)


def _without_leading_space(text: str, offsets: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Moves each token's start past white space, so that a span of tokens never begins with it."""
    space = np.fromiter((character.isspace() for character in text), dtype=bool, count=len(text))
    if not space.any():
        return offsets
    # next_solid[i]: the first position at or after i that is not white space
    solid = np.where(space, len(text), np.arange(len(text)))
    next_solid = np.append(np.minimum.accumulate(solid[::-1])[::-1], len(text))
    start = np.minimum(next_solid[offsets[:, 0]], offsets[:, 1])
    return np.stack([start, offsets[:, 1]], axis=1).astype(np.int32)


def _with_marks(text: str, offsets: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Moves each token's end past combining marks that no token has, so that a span does not lose its last one."""
    if text.isascii():
        return offsets
    mark = np.fromiter((category(character)[0] == "M" for character in text), dtype=bool, count=len(text))
    if not mark.any() or not len(offsets):
        return offsets
    # next_base[i]: the first position at or after i that is not a mark
    base = np.where(mark, len(text), np.arange(len(text)))
    next_base = np.append(np.minimum.accumulate(base[::-1])[::-1], len(text))
    start, end = offsets[:, 0], offsets[:, 1]
    free = np.minimum(next_base[end], np.append(start[1:], len(text)))
    return np.stack([start, np.where(end > start, np.maximum(end, free), end)], axis=1).astype(np.int32)
