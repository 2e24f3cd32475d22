"""Tagging: two files of tags in, rows with sufficient statistics out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import overload

from xtreme_dag.core.errors import UserError
from xtreme_dag.scoring import tagging
from xtreme_dag.scoring.tagcodes import END_OF_SENTENCE, TagCodes
from xtreme_dag.submissions.judge import BLANKED_FROM, Judged, blanked, byte_order_mark, numbers, some
from xtreme_dag.submissions.layout import read_sentences, read_tag_lines

_SENTENCE = re.compile("((?:[^\\n]+\\n)*)\\n")


def judge_tags(labels: Path, predictions: Path, language: str) -> Judged:
    """WikiANN, UD-POS: a tag per line, a blank line after each sentence."""
    return _judge_plain_tags(labels, predictions) or _judge_any_tags(labels, predictions)


def _judge_plain_tags(labels: Path, predictions: Path) -> Judged | None:
    """Scores files that need no care from their bytes; None for others, and for those that do not match."""
    lines = [read_tag_lines(path) for path in (labels, predictions)]
    wanted, offered = lines
    if not wanted or not offered:
        return None
    codes = TagCodes()
    gold, given = codes.of_lines(wanted), codes.of_lines(offered)
    try:
        counted = tagging.statistics_of_codes(gold, given, codes.tags)
    except ValueError:
        return None
    size, tags = len(counted["s_tokens"]), gold[gold != END_OF_SENTENCE]
    one = len(tags) >= BLANKED_FROM and bool((tags == tags[0]).all())
    return Judged(
        ids=_Later(size, lambda: list(map(str, range(size)))),
        gold=_Later(size, lambda: _sentence_texts(wanted)),
        predictions=_Later(size, lambda: _sentence_texts(offered)),
        statistics=counted,
        warnings=blanked([codes.tags[tags[0]]] * len(tags), labels) if one else [],
    )


def _judge_any_tags(labels: Path, predictions: Path) -> Judged:
    gold, given = read_sentences(labels), read_sentences(predictions)
    mismatch = tagging.first_mismatch(gold, given)
    if mismatch:
        raise UserError(mismatch, where=str(predictions), fix="one tag per word of the test file, in its order")
    some(gold, labels)
    tags = [tag for sentence in gold for tag in sentence]
    odd = next((tag for side in (gold, given) for sentence in side for tag in sentence if len(tag.split()) > 1), None)
    warnings = blanked(tags, labels)
    if odd is not None:
        warnings.append(f"{predictions}: a line is a tag as a whole, also {odd!r}")
    return Judged(
        ids=numbers(gold),
        gold=[" ".join(sentence) for sentence in gold],
        predictions=[" ".join(sentence) for sentence in given],
        statistics=tagging.statistics(gold, given),
        warnings=[*warnings, *byte_order_mark([tags, *given[:1]], (labels, predictions))],
    )


class _Later(Sequence[str]):
    """Texts that are made when they are first asked for: a score needs none, an import needs them all."""

    def __init__(self, size: int, make: Callable[[], list[str]]) -> None:
        self._size = size
        self._make = make

    @cached_property
    def _texts(self) -> list[str]:
        return self._make()

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        return self._texts[place]


def _sentence_texts(lines: bytes) -> list[str]:
    """The tags of each sentence with blanks between them."""
    return [tags.rstrip().replace("\n", " ") for tags in _SENTENCE.findall(lines.decode("ascii"))]
