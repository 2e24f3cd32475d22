"""MLQA exact match and F1 with the rules of its seven languages (mlqa_evaluation_v1.py).

Lower-case; delete every character of a Unicode punctuation category and ASCII punctuation; replace the language's
articles by a space; split on white space. In Chinese every character of U+4E00-U+9FA5 is a token of its own.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Mapping, Sequence
from functools import partial

from xtreme_dag.scoring.columns import FloatArray
from xtreme_dag.scoring.overlap import answer_statistics

_ARTICLES: Mapping[str, re.Pattern[str] | None] = {
    # The official Arabic pattern has a second alternative that can never match (a line start after white space).
    "ar": re.compile("ال"),
    "de": re.compile(r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b"),
    "en": re.compile(r"\b(a|an|the)\b"),
    "es": re.compile(r"\b(un|una|unos|unas|el|la|los|las)\b"),
    "hi": None,
    "vi": re.compile(r"\b(của|là|cái|chiếc|những)\b"),
    "zh": None,
}
LANGUAGES = tuple(_ARTICLES)
_CHINESE_CHARACTER = re.compile("([\u4e00-\u9fa5])")


class _Punctuation(dict[int, int | None]):
    """A translation table that deletes punctuation, filled as characters are met (all of Unicode takes 0.2 s)."""

    def __missing__(self, code: int) -> int | None:
        character = chr(code)
        delete = character in string.punctuation or unicodedata.category(character).startswith("P")
        self[code] = kept = None if delete else code
        return kept


_NO_PUNCTUATION = _Punctuation()


def tokens(text: str, language: str) -> list[str]:
    """The normalised tokens of an answer in one of the seven languages."""
    articles = _ARTICLES[language]
    text = text.lower().translate(_NO_PUNCTUATION)
    if articles is not None:
        text = articles.sub(" ", text)
    if language == "zh":
        text = _CHINESE_CHARACTER.sub(r" \1 ", text)
    return text.split()


def statistics(gold: Sequence[Sequence[str]], predicted: Sequence[str | None], language: str) -> dict[str, FloatArray]:
    """Scores answers against their gold answers in one of the seven languages, that of the context.

    See `answer_statistics`.

    Raises:
        ValueError: different lengths, a question without a gold answer, or a language that MLQA does not have.
    """
    if language not in _ARTICLES:
        raise ValueError(f"MLQA has no rules for language {language!r}, only for {', '.join(_ARTICLES)}")
    return answer_statistics(gold, predicted, partial(tokens, language=language))
