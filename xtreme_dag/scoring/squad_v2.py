"""SQuAD v2.0: answers that may be absent.

The rules of evaluate-v2.0.py. They differ from v1.1 in two ways: gold answers that normalise to nothing are dropped,
and an answer of no tokens scores exact match and F1 1 where the question has none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from xtreme_dag.scoring.columns import Family, FloatArray, Metric, Sums, fraction, ratio
from xtreme_dag.scoring.overlap import FAMILY as ANSWERS
from xtreme_dag.scoring.overlap import token_f1
from xtreme_dag.scoring.squad import tokens


def _no_answer_accuracy(sums: Sums) -> FloatArray:
    """Percentage of the unanswerable questions left unanswered (exact match and F1 are equal there)."""
    return 100.0 * fraction(sums["s_em"] - sums["s_em_answerable"], sums["n"] - sums["s_answerable"])


FAMILY = Family(
    metrics=(
        *ANSWERS.metrics,
        ratio("has_answer_exact_match", "s_em_answerable", "s_answerable"),
        ratio("has_answer_f1", "s_f1_answerable", "s_answerable"),
        Metric(
            name="no_answer_accuracy",
            columns=("s_em", "s_em_answerable", "s_answerable"),
            combine=_no_answer_accuracy,
        ),
    ),
    primary=ANSWERS.primary,
)


def statistics(
    gold: Sequence[Sequence[str]],
    predicted: Sequence[str],
    no_answer: ArrayLike | None = None,
    threshold: float = 1.0,
) -> dict[str, FloatArray]:
    """Scores answers, where "" means that there is none.

    Args:
        gold: the gold answers of each question; none for an unanswerable one.
        predicted: the answer of each question.
        no_answer: the probability (any scale) that the question has no answer; None: all 0.
        threshold: answers of questions with a higher `no_answer` count as "".

    Returns:
        `s_em`, `s_f1` (0-1), `s_answerable` (0 or 1) and `s_em_answerable`, `s_f1_answerable` (the scores, 0 for
        unanswerable questions), each (questions,).

    Raises:
        ValueError: different lengths.
    """
    if len(gold) != len(predicted):
        raise ValueError(f"{len(predicted)} answers for {len(gold)} questions")
    answerable = np.array([len(answers) > 0 for answers in gold], dtype=np.float64)
    em = np.zeros(len(gold))
    f1 = np.zeros(len(gold))
    for row, (answers, answer) in enumerate(zip(gold, predicted, strict=True)):
        em[row], f1[row] = _match(answer, answers)
    if no_answer is not None:
        withheld = np.asarray(no_answer, dtype=np.float64) > threshold
        em = np.where(withheld, 1.0 - answerable, em)
        f1 = np.where(withheld, 1.0 - answerable, f1)
    return {
        "s_em": em,
        "s_f1": f1,
        "s_answerable": answerable,
        "s_em_answerable": em * answerable,
        "s_f1_answerable": f1 * answerable,
    }


def _match(answer: str, golds: Sequence[str]) -> tuple[float, float]:
    """Exact match and F1 (0-1) of one answer."""
    given = tokens(answer)
    wanted = [words for words in map(tokens, dict.fromkeys(golds)) if words] or [[]]
    if given in wanted:
        return 1.0, 1.0
    # Tokens on one side only: F1 is 0, as the official script has it.
    return 0.0, max(token_f1(given, words) for words in wanted)
