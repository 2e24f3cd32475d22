"""LAReQA by plain counting: the statistics of questions against pooled candidates, from encodings."""

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
        scores = candidates @ question
        ranks += [1 + (scores > scores[row]).sum() + (scores[:row] == scores[row]).sum() for row in rows]
    return statistics_from_ranks(np.array(ranks), owner, len(gold))
