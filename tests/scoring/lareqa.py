"""LAReQA by plain sorting: the statistics of questions against pooled candidates, from encodings."""

import numpy as np

from xtreme_dag.scoring.ranking import statistics_from_ranks


def statistics(questions, candidates, gold):
    """The columns of `statistics_from_ranks`; scores are inner products, of equal ones the lower row stands first.

    Args:
        questions: encodings, (questions, width).
        candidates: encodings, (candidates, width).
        gold: rows of the right candidates of each question.
    """
    owner = np.repeat(np.arange(len(gold)), [len(rows) for rows in gold])
    ranks = []
    for question, rows in zip(questions, gold, strict=True):
        place = np.empty(len(candidates), dtype=np.int64)
        place[np.argsort(-(candidates @ question), kind="stable")] = np.arange(1, len(candidates) + 1)
        ranks.append(place[rows])
    return statistics_from_ranks(np.concatenate(ranks), owner, len(gold))
