"""The tokenizer as the encoder sees it: text in, flat token ids out, in batches, without padding.

The published `tokenizer.json` is used as it stands, so that the pipeline is the one that the model was trained with.
Only a folder without it (slow tokenizers) goes through a conversion by transformers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from unicodedata import category

import numpy as np
import numpy.typing as npt

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import read_json

Ints = npt.NDArray[np.int64]

_CHUNK = 2_000
_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
# In what files a slow tokenizer keeps its vocabulary: SentencePiece models, word lists, merges of byte pairs.
_VOCABULARIES = ("*.model", "*.spm", "vocab.txt", "merges.txt", "bpe.codes")
_SPELLINGS = {
    "pad": ("<pad>", "[PAD]"),
    "unk": ("<unk>", "[UNK]"),
    "mask": ("<mask>", "[MASK]"),
    "cls": ("<s>", "[CLS]"),
    "sep": ("</s>", "[SEP]"),
}


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


def load_tokenizer(folder: Path) -> TextTokenizer:
    """The tokenizer of a model folder (`tokenizer/` inside it), a base model or a tokenizer folder.

    The last one is kept: reading XLM-R's takes a second, and the tables of a study are encoded one after the other.

    Args:
        folder: a folder with `tokenizer.json`, directly or in `tokenizer/`; other fast-convertible tokenizers are
            converted by transformers.

    Raises:
        UserError: there is no tokenizer in the folder, or one without a vocabulary.
    """
    states = {path.name: path.stat() for where in {folder, tokenizer_folder(folder)} for path in where.glob("*.*")}
    marks = tuple(sorted((name, state.st_size, state.st_mtime_ns, state.st_ino) for name, state in states.items()))
    return _loaded(folder.resolve(), marks)


@lru_cache(maxsize=1)
def _loaded(folder: Path, marks: tuple[tuple[str, int, int, int], ...]) -> TextTokenizer:
    """The tokenizer of a folder whose files are in the state that `marks` says: name, bytes, time, inode."""
    from tokenizers import Tokenizer

    files = tokenizer_folder(folder)
    settings = _settings(files)
    if (files / "tokenizer.json").is_file():
        try:
            backend = Tokenizer.from_file(str(files / "tokenizer.json"))
        except Exception as error:  # the library raises this class itself
            raise UserError(f"is no tokenizer ({error})", where=str(files / "tokenizer.json")) from None
    else:
        converted = getattr(_converted(files), "backend_tokenizer", None)
        if converted is None:
            raise UserError(
                "the tokenizer has no fast form, and every text goes through one here",
                where=str(files),
                fix="take a model with tokenizer.json",
            )
        backend = converted
    _refuse_without_words(backend, files)
    specials = {role: _special(role, settings, backend) for role in _SPELLINGS}
    names = settings.get("model_input_names")
    wants_types = "token_type_ids" in names if isinstance(names, list) and names else _has_token_types(folder)
    return TextTokenizer(
        backend, specials={role: token for role, token in specials.items() if token}, type_ids=wants_types
    )


def tokenizer_folder(folder: Path) -> Path:
    """Where the tokenizer of a model folder lies."""
    return folder / "tokenizer" if (folder / "tokenizer").is_dir() else folder


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copies the tokenizer of one model folder into `target` (created), byte for byte where it is a fast one."""
    files = tokenizer_folder(source)
    target.mkdir(parents=True, exist_ok=True)
    if not (files / "tokenizer.json").is_file():
        _converted(files).save_pretrained(str(target))
        return
    for name in _FILES:
        if (files / name).is_file():
            (target / name).write_bytes((files / name).read_bytes())


def require_tokenizer(folder: Path) -> None:
    """Makes sure that a folder has tokenizer files: transformers makes up a vocabulary where there is none.

    Raises:
        UserError: there is neither `tokenizer.json` nor the vocabulary of a slow tokenizer.
    """
    if not any(path for pattern in ("tokenizer.json", *_VOCABULARIES) for path in folder.glob(pattern)):
        raise UserError(
            "there is no tokenizer in this folder (no tokenizer.json, no vocabulary)",
            where=str(folder),
            fix="add the tokenizer's files that were published with the model",
        )


def _converted(folder: Path) -> Any:
    """A slow tokenizer's fast form, made by transformers."""
    from transformers import AutoTokenizer

    require_tokenizer(folder)
    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, ImportError) as error:
        if "auto_map" in _settings(folder):
            raise UserError(
                "the tokenizer needs code that its folder brings with it (auto_map), and such code is never run",
                where=str(folder / "tokenizer_config.json"),
                fix="give a folder with tokenizer.json",
            ) from None
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"there is no tokenizer that can be loaded in this folder ({reason})",
            where=str(folder),
            fix="give a folder with tokenizer.json (AutoTokenizer(...).save_pretrained writes it)",
        ) from error


def _refuse_without_words(backend: Any, folder: Path) -> None:
    """Raises if a vocabulary has special tokens only: with such a one, made up, every word is unknown."""
    special = {token.content for token in backend.get_added_tokens_decoder().values()}
    special.update("▁", *_SPELLINGS.values())
    few = backend.get_vocab_size(with_added_tokens=False) <= len(special)  # a look at all words takes a while
    if few and special.issuperset(backend.get_vocab(with_added_tokens=False)):
        raise UserError(
            "the tokenizer's vocabulary has special tokens only, so every word would be unknown",
            where=str(folder),
            fix="take the tokenizer's files that were published with the model",
        )


def _settings(folder: Path) -> dict[str, Any]:
    """What `special_tokens_map.json` and `tokenizer_config.json` say, the latter winning."""
    settings: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            settings |= read_json(folder / name, what="a mapping of settings")
    return settings


def _special(role: str, settings: dict[str, Any], backend: Any) -> str | None:
    """The token that plays a role: as configured, else the customary spelling that the vocabulary holds."""
    named = settings.get(f"{role}_token")
    if isinstance(named, dict):
        named = named.get("content")
    if isinstance(named, str):
        return named
    return next((token for token in _SPELLINGS[role] if backend.token_to_id(token) is not None), None)


def _has_token_types(folder: Path) -> bool:
    """Whether the model beside the tokenizer distinguishes token types (BERT does, XLM-R does not)."""
    for name in ("encoder/config.json", "config.json", "../encoder/config.json"):
        if (folder / name).is_file():
            size = read_json(folder / name, what="a configuration").get("type_vocab_size", 0)
            return isinstance(size, int) and size > 1
    return False


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
