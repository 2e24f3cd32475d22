"""Words and a tag for each: parts of speech, entities, categories (UD-POS, WikiANN)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import overload

from xtreme_dag.core.errors import UserError
from xtreme_dag.formats.declaration import Columns, Format, Judged, Layout, Translation
from xtreme_dag.formats.judging import BLANKED_FROM, blanked, by_order, byte_order_mark, nothing_shared, numbers, some
from xtreme_dag.formats.layout import as_lines, known, read_bytes, read_lines

OUTSIDE = "O"
_PREFIXED = re.compile("[A-Z]-")
_SENTENCE = re.compile("((?:[^\\n]+\\n)*)\\n")


def _tag_lines(sentences: Iterable[Sequence[str]]) -> str:
    return "".join(as_lines([*tags, ""]) for tags in sentences)


def _predictions(rows: Columns, asked: Columns) -> str:
    return _tag_lines(tags.split() for tags in rows["prediction"])


def _gold(asked: Columns) -> str:
    return _tag_lines(known(asked["tags"]))


def read_sentences(path: Path) -> list[list[str]]:
    """Tags, one per line, a blank line after each sentence; two blank lines in a row give an empty sentence."""
    sentences: list[list[str]] = []
    sentence: list[str] = []
    # Equal tags become one object: a file has few kinds of tags and many tags.
    tags: dict[str, str] = {}
    for line in read_lines(path):
        if line:
            sentence.append(tags.setdefault(line, line))
        else:
            sentences.append(sentence)
            sentence = []
    if sentence:
        sentences.append(sentence)
    return sentences


def read_tag_lines(path: Path) -> bytes | None:
    """A tag file as it stands, with a line break and a blank line at its end if they were lacking.

    Returns:
        The text; None where lines would have to be stripped, or are not ASCII: `read_sentences` can read those.

    Raises:
        UserError: the file cannot be read.
    """
    import numpy as np

    text = read_bytes(path)
    if not text.isascii():
        return None
    characters = np.frombuffer(text, dtype=np.uint8)
    line_breaks = np.count_nonzero(characters == ord("\n"))
    if np.count_nonzero(characters <= ord(" ")) > line_breaks:
        return None
    if text and not text.endswith(b"\n"):
        text += b"\n"
    return text if text in (b"", b"\n") or text.endswith(b"\n\n") else text + b"\n"


def judge_tags(labels: Path, predictions: Path, language: str) -> Judged:
    """A tag per line, a blank line after each sentence."""
    return _judge_plain(labels, predictions) or _judge_any(labels, predictions)


def _judge_plain(labels: Path, predictions: Path) -> Judged | None:
    """Scores files that need no care from their bytes; None for others, and for those that do not match."""
    import numpy as np

    from xtreme_dag.scoring import tagging
    from xtreme_dag.scoring.tagcodes import END_OF_SENTENCE, TagCodes

    wanted, offered = read_tag_lines(labels), read_tag_lines(predictions)
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
    warnings = blanked([codes.tags[tags[0]]] * len(tags), labels) if one else []
    if not counted["s_tp"].any():
        ours, theirs = (
            [codes.tags[code] for code in np.unique(side) if code != END_OF_SENTENCE] for side in (gold, given)
        )
        warnings += _apart(ours, theirs, labels, predictions)
    return Judged(
        ids=_Later(size, lambda: list(map(str, range(size)))),
        gold=_Later(size, lambda: _sentence_texts(wanted)),
        predictions=_Later(size, lambda: _sentence_texts(offered)),
        statistics=counted,
        warnings=warnings,
    )


def _apart(gold: Collection[str], given: Collection[str], labels: Path, predictions: Path) -> list[str]:
    """The warning for tags of another set; O may be shared if entities have another form (PER for B-PER) or other types.

    One type alone on either side may be a wrong answer.
    """
    if warnings := nothing_shared(gold, given, labels, predictions):
        return warnings
    found, asked = ([tag for tag in side if tag != OUTSIDE] for side in (given, gold))
    forms = [{_PREFIXED.match(tag) is not None for tag in side} for side in (found, asked)]
    types = [{_PREFIXED.sub("", tag) for tag in side} for side in (found, asked)]
    other = (all(forms) and forms[0].isdisjoint(forms[1])) or (
        min(map(len, types)) > 1 and types[0].isdisjoint(types[1])
    )
    return nothing_shared(asked, found, labels, predictions, so="no entity is right") if other else []


def _judge_any(labels: Path, predictions: Path) -> Judged:
    from xtreme_dag.scoring import tagging

    gold, given = read_sentences(labels), read_sentences(predictions)
    mismatch = tagging.first_mismatch(gold, given)
    if mismatch:
        raise UserError(mismatch, where=str(predictions), fix="one tag per word of the test file, in its order")
    some(gold, labels)
    tags = [tag for sentence in gold for tag in sentence]
    odd = next((tag for side in (gold, given) for sentence in side for tag in sentence if len(tag.split()) > 1), None)
    warnings = blanked(tags, labels)
    statistics = tagging.statistics(gold, given)
    if not statistics["s_tp"].any():
        warnings += _apart(tags, [tag for sentence in given for tag in sentence], labels, predictions)
    if odd is not None:
        warnings.append(f"{predictions}: a line is a tag as a whole, also {odd!r}")
    return Judged(
        ids=numbers(gold),
        gold=[" ".join(sentence) for sentence in gold],
        predictions=[" ".join(sentence) for sentence in given],
        statistics=statistics,
        warnings=[*warnings, *byte_order_mark([tags, *given[:1]], (labels, predictions))],
    )


class _Later(Sequence[str]):
    """Texts that are computed at first access: a score needs none, an import needs them all."""

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


FORMAT = Format(
    name="tagging",
    columns={"words": "words", "tags": "list<string>"},
    texts=("words",),
    shown="words",
    label="tags",
    counted={"labels": "tags", "tokens": "words"},
    translation=Translation(texts=("words",), follows="words"),
    generator="tagging",
    layout=Layout(
        suffix="tsv", family="tagging", predictions=_predictions, gold=_gold, judge=judge_tags, identify=by_order
    ),
)
