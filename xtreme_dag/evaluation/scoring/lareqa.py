"""LAReQA: where the gold sentences stand among the pooled candidates of all languages, from encodings.

Average precision needs the ranks of the gold candidates only, so no question's candidates are sorted: a rank is one
plus the number of candidates with a higher score. Scores come from one matrix product per chunk of questions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xtreme_dag.evaluation.scoring.columns import FloatArray
from xtreme_dag.evaluation.scoring.ranking import CUT_OFF, statistics_from_ranks

CHUNK = 256
"""Questions per matrix product: 13 MB of scores for LAReQA's 13,014 candidates, which stay near the cache."""


def statistics(
    questions: NDArray[np.float32],
    candidates: NDArray[np.float32],
    gold: Sequence[Sequence[int]],
    cut_off: int = CUT_OFF,
) -> dict[str, FloatArray]:
    """Scores every question against every candidate by inner product.

    Args:
        questions: encodings, (questions, width); L2-normalised by the model.
        candidates: encodings, (candidates, width).
        gold: rows of the right candidates of each question, at least one each.
        cut_off: how many candidates count for all but `s_ap_full`.

    Returns:
        `s_rr`, `s_ap`, `s_correct`, `s_ap_full`, each (questions,).

    Raises:
        ValueError: different numbers of questions and gold sets, or an empty gold set.
    """
    if len(questions) != len(gold):
        raise ValueError(f"{len(gold)} gold sets for {len(questions)} questions")
    owner = np.repeat(np.arange(len(gold)), [len(rows) for rows in gold])
    rows = np.fromiter((row for right in gold for row in right), dtype=np.intp, count=len(owner))
    ranks = gold_ranks(questions, candidates, owner, rows)
    return statistics_from_ranks(ranks, owner, len(questions), cut_off)


def gold_ranks(
    questions: NDArray[np.float32],
    candidates: NDArray[np.float32],
    owner: NDArray[np.intp],
    rows: NDArray[np.intp],
) -> NDArray[np.int64]:
    """Ranks (from 1) of some candidates; of equal scores the lower row stands first.

    Args:
        questions: encodings, (questions, width).
        candidates: encodings, (candidates, width).
        owner: question of each asked candidate, rising, (asked,).
        rows: row of each asked candidate, (asked,).

    Returns:
        Ranks, (asked,).
    """
    ranks = np.zeros(len(owner), dtype=np.int64)
    transposed = np.ascontiguousarray(candidates.T)
    scores = np.empty((min(CHUNK, len(questions)), len(candidates)), dtype=np.result_type(questions, candidates))
    bounds = np.searchsorted(owner, np.arange(len(questions) + 1))
    for start in range(0, len(questions), CHUNK):
        stop = min(start + CHUNK, len(questions))
        block = np.matmul(questions[start:stop], transposed, out=scores[: stop - start])
        for question in range(start, stop):
            asked = slice(bounds[question], bounds[question + 1])
            ranks[asked] = _ranks_in_row(block[question - start], rows[asked])
    return ranks


def _ranks_in_row(scores: NDArray[np.float32], rows: NDArray[np.intp]) -> NDArray[np.int64]:
    """Ranks of some candidates of one question."""
    asked = scores[rows]
    # Only candidates at least as good as the worst asked one can matter, mostly a few of thousands.
    rivals = np.flatnonzero(scores >= asked.min())
    values = scores[rivals]
    higher = np.count_nonzero(values[None, :] > asked[:, None], axis=1)
    level = (values[None, :] == asked[:, None]) & (rivals[None, :] < rows[:, None])
    return np.asarray(1 + higher + np.count_nonzero(level, axis=1), dtype=np.int64)
