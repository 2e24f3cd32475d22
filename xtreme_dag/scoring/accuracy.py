"""Accuracy: XNLI, PAWS-X, XCOPA, Tatoeba."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xtreme_dag.scoring.columns import Family, FloatArray, ratio

FAMILY = Family(metrics=(ratio("accuracy", "s_correct"),), primary="accuracy")


def statistics(gold: Sequence[object], predicted: Sequence[object]) -> dict[str, FloatArray]:
    """Whether each prediction equals its label, compared as the official scorer does: with Python's `==`.

    Args:
        gold: labels, one per example (strings, or numbers for XCOPA).
        predicted: predictions in the same order.

    Returns:
        `s_correct` (examples,), 0 or 1.

    Raises:
        ValueError: different numbers of labels and predictions.
    """
    if len(gold) != len(predicted):
        raise ValueError(f"{len(predicted)} predictions for {len(gold)} labels")
    correct = [label == prediction for label, prediction in zip(gold, predicted, strict=True)]
    return {"s_correct": np.array(correct, dtype=np.float64)}
