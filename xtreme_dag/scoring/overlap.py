"""Token overlap of two answers, shared by the QA scorers."""

from __future__ import annotations

from collections.abc import Sequence


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
