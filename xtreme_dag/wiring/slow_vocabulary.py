"""The vocabulary in the files of a slow tokenizer, to be compared with that of `tokenizer.json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from xtreme_dag.wiring.model_files import json_of

# Kinds of pieces of a SentencePiece model that are words; others are special tokens, bytes and such.
# (sentencepiece_model.proto: NORMAL = 1, which is the default)
_NORMAL = 1


def unlike(files: Path, vocabulary: Mapping[str, int]) -> tuple[str, int, list[str]] | None:
    """The words that a slow tokenizer has elsewhere than `tokenizer.json` has them, or that are not in the latter.

    A word list (BERT) and an object (byte pairs) say ids. In a SentencePiece model the places of the pieces count: models
    put special tokens before them (XLM-R's ids are one higher), so the difference must be the same for all.

    Args:
        files: folder of the tokenizer.
        vocabulary: what `tokenizer.json` says, word -> id.

    Returns:
        Name of the slow tokenizer's file, how many words it has, and those that are elsewhere; None without such a file,
        or with several.
    """
    pieces = sorted(path for path in [*files.glob("*.model"), *files.glob("*.spm")] if path.is_file())
    if (files / "vocab.txt").is_file() and not (files / "bpe.codes").is_file():
        lines = (files / "vocab.txt").read_text(encoding="utf-8", errors="replace").split("\n")
        name, words = "vocab.txt", {line.rstrip("\r"): number for number, line in enumerate(lines) if line.strip()}
    elif isinstance(found := json_of(files / "vocab.json"), dict):
        name, words = "vocab.json", found
    elif len(pieces) == 1 and (read := pieces_of(pieces[0])):
        differences = Counter(vocabulary[word] - place for word, place in read.items() if word in vocabulary)
        ahead = differences.most_common(1)[0][0] if differences else 0
        name, words = pieces[0].name, {word: place + ahead for word, place in read.items()}
    else:
        return None
    return name, len(words), [word for word, number in words.items() if vocabulary.get(word) != number]


def pieces_of(path: Path) -> dict[str, int]:
    """The words of a SentencePiece model and their places; none if the file is no such model.

    Only what is needed of its protocol buffer is read: field 1, repeated, is a piece; its field 1 is the text, field 3
    the kind.
    """
    try:
        content = path.read_bytes()
        pieces = [piece for field, piece in _fields(content, 0, len(content)) if field == 1]
        found = {}
        for place, piece in enumerate(pieces):
            if not isinstance(piece, tuple):
                return {}
            fields = dict(_fields(content, *piece))
            text = fields[1]
            if fields.get(3, _NORMAL) == _NORMAL and isinstance(text, tuple):
                found[content[text[0] : text[1]].decode()] = place
    except (OSError, ValueError, IndexError, KeyError):
        return {}
    return found


def _fields(content: bytes, at: int, end: int) -> Iterator[tuple[int, int | tuple[int, int]]]:
    """Numbers and values of the fields of a message: integers, or where a text or message starts and ends.

    Raises:
        ValueError: it is no message.
        IndexError: it is cut off.
    """
    while at < end:
        mark, at = _varint(content, at)
        value: int | tuple[int, int]
        if mark & 7 == 0:
            value, at = _varint(content, at)
        elif mark & 7 == 2:
            size, at = _varint(content, at)
            value = at, at + size
            at += size
        elif mark & 7 in (1, 5):
            size = 8 if mark & 7 == 1 else 4
            value = at, at + size
            at += size
        else:
            raise ValueError("no protocol buffer")
        if at > end:
            raise ValueError("cut off")
        yield mark >> 3, value


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, lowest first, and where it ends."""
    byte = content[at]
    at += 1
    value, shift = byte & 127, 7
    while byte & 128:
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
    return value, at
