"""Mewsli-X and LAReQA: reciprocal rank and average precision, from lists and from encodings."""

import random

import numpy as np
import pytest

from tests.scoring import lareqa
from tests.scoring.official_rules import average_precision, reciprocal_rank
from xtreme_dag.scoring.columns import column_sums
from xtreme_dag.scoring.combine import values
from xtreme_dag.scoring.ranking import statistics, statistics_from_ranks


def test_lists_with_repetitions_and_several_right_candidates():
    chance = random.Random(1)
    names = [f"Q{n}" for n in range(40)]
    gold = [set(chance.sample(names, chance.randrange(1, 30))) for _ in range(300)]
    ranked = [[chance.choice(names) for _ in range(chance.randrange(0, 40))] for _ in gold]
    columns = statistics(gold, ranked)
    pairs = list(zip(gold, ranked, strict=True))
    assert columns["s_ap"].tolist() == pytest.approx([average_precision(right, names, 20) for right, names in pairs])
    first = [next((1 / n for n, name in enumerate(row[:20], 1) if name in right), 0.0) for right, row in pairs]
    assert columns["s_rr"].tolist() == pytest.approx(first)
    assert columns["s_correct"].tolist() == [float(bool(row) and row[0] in right) for right, row in pairs]


def test_one_gold_entity_makes_average_precision_the_reciprocal_rank():
    chance = random.Random(2)
    names = [f"Q{n}" for n in range(30)]
    gold = [chance.choice(names) for _ in range(200)]
    ranked = [chance.sample(names, 25) for _ in gold]
    columns = statistics([[name] for name in gold], ranked)
    expected = [reciprocal_rank(right, row) for right, row in zip(gold, ranked, strict=True)]
    assert columns["s_rr"].tolist() == columns["s_ap"].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("width", [4, 32])
def test_encodings_rank_as_a_full_sort_does(width):
    random_state = np.random.default_rng(width)
    # Small whole numbers: their products are exact, however a matrix product is cut up, and often equal.
    questions = random_state.integers(-9, 10, size=(300, width)).astype(np.float32)
    candidates = random_state.integers(-9, 10, size=(700, width)).astype(np.float32)
    candidates[500:] = candidates[:200]  # equal sentences in two places: equal scores
    gold = [random_state.choice(700, size=random_state.integers(1, 30), replace=False).tolist() for _ in questions]
    columns = lareqa.statistics(questions, candidates, gold)
    scores = questions @ candidates.T
    # Of equal scores the lower row stands first.
    ranked = [np.lexsort((np.arange(700), -row)).tolist() for row in scores]
    for name, cut_off in (("s_ap", 20), ("s_ap_full", None)):
        expected = [average_precision(set(right), row, cut_off) for right, row in zip(gold, ranked, strict=True)]
        assert columns[name].tolist() == pytest.approx(expected, abs=1e-12)
    assert columns["s_correct"].tolist() == [float(row[0] in right) for right, row in zip(gold, ranked, strict=True)]
    from_lists = statistics(gold, ranked)
    for name, column in from_lists.items():
        assert columns[name].tolist() == pytest.approx(column.tolist(), abs=1e-12)


def test_the_cut_off_lowers_the_divisor():
    """XTREME-R's mAP@20 divides by 20 at most; the full mAP by the number of right candidates."""
    ranks, owner = np.arange(1, 31), np.zeros(30, dtype=np.intp)
    columns = statistics_from_ranks(ranks, owner, 1)
    assert columns["s_ap"].tolist() == [1.0]
    late = statistics_from_ranks(np.array([1, 21]), np.zeros(2, dtype=np.intp), 1)
    assert late["s_ap"].tolist() == [0.5]
    assert late["s_ap_full"].tolist() == pytest.approx([(1 + 2 / 21) / 2])
    figures = values("ranking_full", column_sums(late))
    assert float(figures["map@20"]) == 50.0
    assert float(figures["map"]) == pytest.approx(50 * (1 + 2 / 21))


def test_shapes():
    with pytest.raises(ValueError, match="1 rankings for 2 queries"):
        statistics([["a"], ["b"]], [["a"]])
    with pytest.raises(ValueError, match="without a right candidate"):
        statistics([[]], [["a"]])
    with pytest.raises(ValueError, match="query 1 has no right candidate"):
        statistics_from_ranks(np.array([1]), np.array([0]), 2)
    assert {name: len(column) for name, column in statistics([], []).items()} == {"s_rr": 0, "s_ap": 0, "s_correct": 0}
