"""BUCC: sets of pairs by source sentence, and the threshold sweep."""

import random

import pytest

from tests.scoring.official_rules import mining_threshold
from xtreme_dag.scoring.columns import column_sums
from xtreme_dag.scoring.combine import values
from xtreme_dag.scoring.mining import accepted, best_threshold, statistics


def test_sums_are_those_of_the_set_intersection():
    chance = random.Random(1)
    for _ in range(50):
        sources, targets = [f"fr-{n}" for n in range(20)], [f"en-{n}" for n in range(20)]
        gold = {(chance.choice(sources), chance.choice(targets)) for _ in range(15)}
        given = {(chance.choice(sources), chance.choice(targets)) for _ in range(15)} | set(list(gold)[:5])
        figures = values("mining", column_sums(statistics(sources, gold, [*given, *given])))
        right = len(gold & given)
        precision, recall = right / len(given), right / len(gold)
        assert float(figures["precision"]) == pytest.approx(100 * precision)
        assert float(figures["recall"]) == pytest.approx(100 * recall)
        assert float(figures["f1"]) == pytest.approx(200 * precision * recall / (precision + recall))


def test_rows_are_source_sentences():
    columns = statistics(["a", "b", "c"], [("a", "x"), ("b", "y")], [("b", "y"), ("b", "z"), ("c", "x")])
    assert columns["s_gold"].tolist() == [1, 1, 0]
    assert columns["s_pred"].tolist() == [0, 2, 1]
    assert columns["s_tp"].tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match="1 pairs have an unknown source id, the first is 'd'"):
        statistics(["a"], [("a", "x")], [("d", "x")])


def test_the_threshold_is_that_of_the_official_sweep():
    chance = random.Random(2)
    compared = 0
    for _ in range(400):
        size = chance.randrange(2, 40)
        digits = chance.choice([1, 6])
        candidates = {(f"s{n}", f"t{n}"): round(chance.random(), digits) for n in range(size)}
        gold = {(f"s{n}", f"t{n}") for n in range(60) if chance.random() < 0.4}
        right = [pair in gold for pair in candidates]
        expected = mining_threshold(candidates, gold)
        found = best_threshold(list(candidates.values()), right, len(gold))
        if expected is None:  # the official script fails here
            assert found == min(candidates.values())
        else:
            assert found == expected
            compared += 1
    assert compared > 100


def test_no_candidate_is_right():
    assert best_threshold([0.3, 0.4], [False, False], 5) == 0.0
    assert best_threshold([], [], 5) == 0.0


def test_candidates_at_the_threshold_are_taken():
    assert accepted([0.5, 0.49, 0.51], 0.5).tolist() == [True, False, True]
