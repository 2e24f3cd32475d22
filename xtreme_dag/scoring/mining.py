"""Bitext mining (BUCC 2018): the F1 of sets of pairs, and a threshold on pair scores that is chosen on dev.

The statistics are per source sentence, so that two systems share their rows and a bootstrap resamples sentences. The
sums are those of the official set intersection, because every pair belongs to one source sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xtreme_dag.scoring.columns import OVERLAP, Family, FloatArray

FAMILY = Family(metrics=OVERLAP, primary="f1")

Pair = tuple[str, str]


def statistics(sources: Sequence[str], gold: Iterable[Pair], predicted: Iterable[Pair]) -> dict[str, FloatArray]:
    """Counts pairs by their source sentence; a pair that is given twice counts once.

    Args:
        sources: ids of the source (foreign) sentences, unique; the rows.
        gold: (source id, target id).
        predicted: (source id, target id).

    Returns:
        `s_tp`, `s_pred`, `s_gold`, each (sources,).

    Raises:
        ValueError: a pair with a source id that is not in `sources`.
    """
    rows = {source: row for row, source in enumerate(sources)}
    wanted, given = set(gold), set(predicted)
    strangers = [source for source, _ in sorted(wanted | given) if source not in rows]
    if strangers:
        raise ValueError(f"{len(strangers)} pairs have an unknown source id, the first is {strangers[0]!r}")

    def count(pairs: Iterable[Pair]) -> FloatArray:
        found = np.fromiter((rows[source] for source, _ in pairs), dtype=np.intp)
        return np.bincount(found, minlength=len(rows)).astype(np.float64)

    return {"s_tp": count(wanted & given), "s_pred": count(given), "s_gold": count(wanted)}


def by_source(pairs: Iterable[Pair]) -> dict[str, list[str]]:
    """Source id -> target ids, in the order given."""
    grouped: dict[str, list[str]] = {}
    for source, target in pairs:
        grouped.setdefault(source, []).append(target)
    return grouped


def best_threshold(scores: ArrayLike, right: ArrayLike, gold_pairs: int) -> float:
    """The score from which on candidates are accepted with the best F1 on dev: LASER's and XTREME's sweep.

    The threshold lies midway between the last accepted candidate and the next. If the last candidate of all is
    accepted the official script fails; here its own score is the threshold.

    Args:
        scores: score of each candidate pair, (candidates,).
        right: whether it is a gold pair, (candidates,).
        gold_pairs: how many gold pairs there are, found or not.

    Returns:
        The threshold for `accepted`; 0.0, the official default, where no candidate is right.
    """
    values = np.asarray(scores, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    values = values[order]
    correct = np.cumsum(np.asarray(right, dtype=bool)[order])
    if not len(values) or correct[-1] == 0:
        return 0.0
    precision = correct / np.arange(1, len(values) + 1)
    recall = correct / gold_pairs
    total = precision + recall
    f1 = np.divide(2.0 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    best = int(np.argmax(f1))
    following = min(best + 1, len(values) - 1)
    return float((values[best] + values[following]) / 2.0)


def accepted(scores: ArrayLike, threshold: float) -> NDArray[np.bool_]:
    """Which candidates are mined at a threshold: those with at least that score, (candidates,)."""
    return np.asarray(scores, dtype=np.float64) >= threshold
