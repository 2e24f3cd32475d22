"""LAReQA: where the gold sentences stand among the pooled candidates of all languages, from encodings.

Average precision needs the ranks of the gold candidates only, so no question's candidates are sorted in full: a rank is
one plus the number of candidates with a higher score. Scores come from one matrix product per chunk of questions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xtreme_dag.scoring.columns import FloatArray
from xtreme_dag.scoring.ranking import CUT_OFF, statistics_from_ranks

CHUNK = 512
"""Questions per matrix product: 27 MB of scores for LAReQA's 13,014 candidates."""
CROWD = 256
"""Up to how many candidates of one question are sorted; above, counting is faster."""


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
        ValueError: different numbers of questions and gold sets, an empty gold set, or encodings that are no numbers.
    """
    if len(questions) != len(gold):
        raise ValueError(f"{len(gold)} gold sets for {len(questions)} questions")
    for name, encodings in (("questions", questions), ("candidates", candidates)):
        # A NaN compares as no candidate's better, which would be rank 1.
        if not np.isfinite(encodings).all():
            raise ValueError(f"the encodings of {name} hold NaN or infinity")
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
    scores = np.empty((min(CHUNK, len(questions)), len(candidates)), dtype=np.result_type(questions, candidates))
    bounds = np.searchsorted(owner, np.arange(len(questions) + 1))
    for start in range(0, len(questions), CHUNK):
        stop = min(start + CHUNK, len(questions))
        block = np.matmul(questions[start:stop], candidates.T, out=scores[: stop - start])
        asked = slice(bounds[start], bounds[stop])
        ranks[asked] = ranks_in_block(block, owner[asked] - start, rows[asked])
    return ranks


def ranks_in_block(scores: NDArray[np.float32], owner: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.int64]:
    """Ranks of some candidates of each question of a block of scores.

    Args:
        scores: (questions, candidates).
        owner: question of each asked candidate, (asked,).
        rows: row of each asked candidate, (asked,).

    Returns:
        Ranks from 1, (asked,); of equal scores the lower row stands first.
    """
    questions, width = scores.shape
    asked = scores[owner, rows]
    # Only candidates at least as good as the worst asked one of their question can matter, mostly a few of thousands.
    worst = np.full(questions, np.inf, dtype=scores.dtype)
    np.minimum.at(worst, owner, asked)
    rivals = np.flatnonzero(scores >= worst[:, None])
    sizes = np.diff(np.searchsorted(rivals, np.arange(questions + 1) * width))
    crowded = sizes > CROWD
    sizes, rivals = np.where(crowded, 0, sizes), rivals[np.repeat(~crowded, sizes)]
    # Few rivals are sorted, those of all questions at once; the sort is stable, so of equal scores the lower row stands
    # first.
    order = np.lexsort((-scores.ravel()[rivals], np.repeat(np.arange(questions), sizes)))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    ranks = np.empty(len(rows), dtype=np.int64)
    few = ~crowded[owner]
    first = np.cumsum(sizes) - sizes
    ranks[few] = 1 + place[np.searchsorted(rivals, owner[few] * width + rows[few])] - first[owner[few]]
    # Many are counted, one asked candidate after the other.
    for one in np.flatnonzero(~few):
        line = scores[owner[one]]
        equal = np.count_nonzero(line[: rows[one]] == asked[one])
        ranks[one] = 1 + np.count_nonzero(line > asked[one]) + equal
    return ranks
