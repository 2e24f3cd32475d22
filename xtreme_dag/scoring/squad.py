"""SQuAD v1.1 exact match and F1 with English normalisation: SQuAD, XQuAD, TyDiQA-GoldP.

The rules of evaluate-v1.1.py: lower-case, delete ASCII punctuation, replace the words a, an, the by a space, split on
white space. They are applied to every language, so a Chinese or Thai answer is mostly one token.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

import numpy as np

from xtreme_dag.scoring.columns import FloatArray
from xtreme_dag.scoring.overlap import best_match

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def tokens(text: str) -> list[str]:
    """The normalised tokens of an answer."""
    return _ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split()


def statistics(gold: Sequence[Sequence[str]], predicted: Sequence[str | None]) -> dict[str, FloatArray]:
    """Scores answers against their gold answers.

    Args:
        gold: the gold answers of each question, at least one each.
        predicted: the answer of each question; None where there is none, which scores 0.

    Returns:
        `s_em`, `s_f1` (questions,), 0-1.

    Raises:
        ValueError: different lengths, or a question without a gold answer.
    """
    if len(gold) != len(predicted):
        raise ValueError(f"{len(predicted)} answers for {len(gold)} questions")
    scores = np.zeros((len(gold), 2))
    for row, (answers, answer) in enumerate(zip(gold, predicted, strict=True)):
        if answer is not None:
            scores[row] = best_match(tokens(answer), [tokens(text) for text in dict.fromkeys(answers)])
    return {"s_em": scores[:, 0].copy(), "s_f1": scores[:, 1].copy()}
