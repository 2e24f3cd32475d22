"""Token overlap of two answers, and the metrics of answers: shared by the QA scorers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from xtreme_dag.scoring.columns import Family, FloatArray, Metric, Sums, ratio

EXACT_MATCH = ratio("exact_match", "s_em")
ANSWER_F1 = ratio("f1", "s_f1")


def _answer_score(sums: Sums) -> FloatArray:
    return (EXACT_MATCH.combine(sums) + ANSWER_F1.combine(sums)) / 2.0


FAMILY = Family(
    metrics=(
        EXACT_MATCH,
        ANSWER_F1,
        # What QA tasks enter averages with.
        Metric(name="em_f1_mean", columns=("s_em", "s_f1"), combine=_answer_score, is_mean=True),
    ),
    primary="em_f1_mean",
)


def common_tokens(first: Sequence[str], second: Sequence[str]) -> int:
    """How many tokens two bags of words share, repeats counted."""
    left: dict[str, int] = {}
    for token in first:
        left[token] = left.get(token, 0) + 1
    common = 0
    for token in second:
        count = left.get(token, 0)
        if count:
            left[token] = count - 1
            common += 1
    return common


def token_f1(predicted: Sequence[str], gold: Sequence[str]) -> float:
    """The F1 of two bags of words, 0-1; 0 where they share nothing, so also where both are empty (SQuAD v1.1)."""
    common = common_tokens(predicted, gold)
    if common == 0:
        return 0.0
    precision = common / len(predicted)
    recall = common / len(gold)
    return 2.0 * precision * recall / (precision + recall)


def answer_statistics(
    gold: Sequence[Sequence[str]], predicted: Sequence[str | None], tokens: Callable[[str], list[str]]
) -> dict[str, FloatArray]:
    """Scores answers against their gold answers.

    Args:
        gold: the gold answers of each question, at least one each.
        predicted: the answer of each question; None where there is none, which scores 0.
        tokens: the normalised tokens of an answer, by the rules of the dataset.

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


def best_match(predicted: Sequence[str], golds: Sequence[Sequence[str]]) -> tuple[float, float]:
    """Exact match and F1 (0-1) of an answer, each with the gold answer that suits it best.

    Args:
        predicted: normalised tokens of the answer.
        golds: normalised tokens of each gold answer, at least one.

    Raises:
        ValueError: no gold answer.
    """
    if not golds:
        raise ValueError("a question without a gold answer cannot be scored")
    if predicted in golds:
        # An answer of no tokens that equals its gold answer has exact match 1 and F1 0: the official scripts say so.
        return 1.0, 1.0 if predicted else 0.0
    return 0.0, max(token_f1(predicted, gold) for gold in golds)
