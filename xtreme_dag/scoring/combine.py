"""From sums of sufficient statistics to figures of 0-100.

Every combiner is vectorised over a leading axis of resamples. A ratio with an empty denominator is 0, as in seqeval.
The table at the end is for statistics over any task (bootstrap, slices); a stage that scores one task names its
combiners directly, so that a repaired combiner re-runs only the stages that use it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from xtreme_dag.scoring.columns import FloatArray, Sums

Combiner = Callable[[Sums], FloatArray]


@dataclass(frozen=True, kw_only=True)
class Family:
    """Metrics that share sufficient statistics.

    Attributes:
        columns: the columns that the combiners need (besides `n`, the count).
        metrics: name as the official scorer spells it -> combiner.
        primary: the metric that enters averages.
    """

    columns: tuple[str, ...]
    metrics: Mapping[str, Combiner]
    primary: str


def fraction(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Divides, and gives 0 where the denominator is 0."""
    empty = np.equal(denominator, 0.0)
    return np.where(empty, 0.0, numerator / np.where(empty, 1.0, denominator))


def harmonic(precision: FloatArray, recall: FloatArray) -> FloatArray:
    """The F1 of a precision and a recall, in the order of operations of the official scorers."""
    return fraction(2.0 * precision * recall, precision + recall)


def accuracy(sums: Sums) -> FloatArray:
    """Percentage of right examples."""
    return 100.0 * fraction(sums["s_correct"], sums["n"])


def precision(sums: Sums) -> FloatArray:
    """Percentage of the predicted chunks or pairs that are right."""
    return 100.0 * fraction(sums["s_tp"], sums["s_pred"])


def recall(sums: Sums) -> FloatArray:
    """Percentage of the gold chunks or pairs that were found."""
    return 100.0 * fraction(sums["s_tp"], sums["s_gold"])


def overlap_f1(sums: Sums) -> FloatArray:
    """Micro-averaged F1 of chunks (seqeval) or pairs (BUCC)."""
    return 100.0 * harmonic(fraction(sums["s_tp"], sums["s_pred"]), fraction(sums["s_tp"], sums["s_gold"]))


def token_accuracy(sums: Sums) -> FloatArray:
    """Percentage of the tokens with the right tag."""
    return 100.0 * fraction(sums["s_tokens_correct"], sums["s_tokens"])


def exact_match(sums: Sums) -> FloatArray:
    """Percentage of the answers that equal a gold answer after normalisation."""
    return 100.0 * fraction(sums["s_em"], sums["n"])


def answer_f1(sums: Sums) -> FloatArray:
    """Mean token F1 of the answers, in percent."""
    return 100.0 * fraction(sums["s_f1"], sums["n"])


def answer_score(sums: Sums) -> FloatArray:
    """What QA tasks enter averages with: the mean of exact match and F1."""
    return (exact_match(sums) + answer_f1(sums)) / 2.0


def has_answer_exact_match(sums: Sums) -> FloatArray:
    """Exact match over the questions that have an answer."""
    return 100.0 * fraction(sums["s_em_answerable"], sums["s_answerable"])


def has_answer_f1(sums: Sums) -> FloatArray:
    """F1 over the questions that have an answer."""
    return 100.0 * fraction(sums["s_f1_answerable"], sums["s_answerable"])


def no_answer_accuracy(sums: Sums) -> FloatArray:
    """Percentage of the unanswerable questions that were left unanswered (exact match and F1 are equal there)."""
    return 100.0 * fraction(sums["s_em"] - sums["s_em_answerable"], sums["n"] - sums["s_answerable"])


def mean_reciprocal_rank(sums: Sums) -> FloatArray:
    """Mean reciprocal rank of the first right candidate within the cut-off."""
    return 100.0 * fraction(sums["s_rr"], sums["n"])


def mean_average_precision(sums: Sums) -> FloatArray:
    """Mean average precision within the cut-off."""
    return 100.0 * fraction(sums["s_ap"], sums["n"])


def mean_average_precision_uncut(sums: Sums) -> FloatArray:
    """Mean average precision over all candidates."""
    return 100.0 * fraction(sums["s_ap_full"], sums["n"])


_OVERLAP: Mapping[str, Combiner] = {"f1": overlap_f1, "precision": precision, "recall": recall}
_ANSWERS: Mapping[str, Combiner] = {"exact_match": exact_match, "f1": answer_f1, "em_f1_mean": answer_score}
_RANKING: Mapping[str, Combiner] = {
    "map@20": mean_average_precision,
    "mrr@20": mean_reciprocal_rank,
    "accuracy@1": accuracy,
}

FAMILIES: Mapping[str, Family] = {
    "accuracy": Family(columns=("s_correct",), metrics={"accuracy": accuracy}, primary="accuracy"),
    "tagging": Family(
        columns=("s_tp", "s_pred", "s_gold", "s_tokens_correct", "s_tokens"),
        metrics={**_OVERLAP, "token_accuracy": token_accuracy},
        primary="f1",
    ),
    "mining": Family(columns=("s_tp", "s_pred", "s_gold"), metrics=_OVERLAP, primary="f1"),
    "answers": Family(columns=("s_em", "s_f1"), metrics=_ANSWERS, primary="em_f1_mean"),
    "answers_v2": Family(
        columns=("s_em", "s_f1", "s_answerable", "s_em_answerable", "s_f1_answerable"),
        metrics={
            **_ANSWERS,
            "has_answer_exact_match": has_answer_exact_match,
            "has_answer_f1": has_answer_f1,
            "no_answer_accuracy": no_answer_accuracy,
        },
        primary="em_f1_mean",
    ),
    "ranking": Family(columns=("s_rr", "s_ap", "s_correct"), metrics=_RANKING, primary="map@20"),
    "ranking_full": Family(
        columns=("s_rr", "s_ap", "s_correct", "s_ap_full"),
        metrics={**_RANKING, "map": mean_average_precision_uncut},
        primary="map@20",
    ),
}


def value(family: str, metric: str, sums: Sums) -> FloatArray:
    """One figure of 0-100 from sums: () or (resamples,)."""
    return FAMILIES[family].metrics[metric](sums)


def values(family: str, sums: Sums) -> dict[str, FloatArray]:
    """Every figure of a family from sums, each () or (resamples,)."""
    return {name: combiner(sums) for name, combiner in FAMILIES[family].metrics.items()}
