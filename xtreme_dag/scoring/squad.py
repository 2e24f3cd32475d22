"""SQuAD v1.1 exact match and F1 with English normalisation: SQuAD, XQuAD, TyDiQA-GoldP.

The rules of evaluate-v1.1.py: lower-case, delete ASCII punctuation, replace the words a, an, the by a space, split on
white space. They are applied to every language, so a Chinese or Thai answer is mostly one token.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from xtreme_dag.scoring.columns import FloatArray
from xtreme_dag.scoring.overlap import answer_statistics

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def tokens(text: str) -> list[str]:
    """The normalised tokens of an answer."""
    return _ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split()


def statistics(gold: Sequence[Sequence[str]], predicted: Sequence[str | None]) -> dict[str, FloatArray]:
    """Scores answers against their gold answers; see `answer_statistics`."""
    return answer_statistics(gold, predicted, tokens)
