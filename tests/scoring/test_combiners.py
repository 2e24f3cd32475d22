"""What holds for every metric: order is nothing, sums are everything, 0 is the floor and 100 the ceiling."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xtreme_dag.scoring import accuracy, mining, mlqa, ranking, squad, squad_v2, tagging
from xtreme_dag.scoring.columns import column_sums
from xtreme_dag.scoring.combine import FAMILIES, values

WORDS = st.lists(st.sampled_from(["the", "cat", "A", "...", "北京", "ال", "der", "7"]), max_size=4).map(" ".join)
TAGS = st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "NOUN", "SYM"])
ANSWERS = st.lists(st.tuples(st.lists(WORDS, min_size=1, max_size=3), WORDS), min_size=1, max_size=12)
SENTENCES = st.lists(st.lists(st.tuples(TAGS, TAGS), max_size=5), min_size=1, max_size=12)
LABELS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=20)
RANKINGS = st.lists(
    st.tuples(st.sets(st.integers(0, 9), min_size=1), st.lists(st.integers(0, 9), max_size=25)), min_size=1, max_size=8
)
MINED = st.lists(st.tuples(st.sets(st.sampled_from("xyz")), st.sets(st.sampled_from("xyz"))), min_size=1, max_size=8)


def sides(rows):
    return [wanted for wanted, _ in rows], [found for _, found in rows]


def mined(rows):
    gold = [(str(row), target) for row, (wanted, _) in enumerate(rows) for target in wanted]
    found = [(str(row), target) for row, (_, given) in enumerate(rows) for target in given]
    return mining.statistics([str(row) for row in range(len(rows))], gold, found)


def tags(rows):
    return tagging.statistics(*([[pair[side] for pair in sentence] for sentence in rows] for side in (0, 1)))


def columns_of(family, rows):
    """Statistics of rows of (gold, prediction), as drawn by the strategy of the family."""
    if family == "tagging":
        return tags(rows)
    if family == "mining":
        return mined(rows)
    gold, found = sides(rows)
    if family == "answers_v2":
        return squad_v2.statistics([[] if text[0] == "" else text for text in gold], found)
    return {
        "accuracy": accuracy.statistics,
        "answers": squad.statistics,
        "mlqa": lambda gold, found: mlqa.statistics(gold, found, "zh"),
        "ranking": ranking.statistics,
    }[family](gold, found)


DRAWN = [
    ("accuracy", LABELS), ("tagging", SENTENCES), ("mining", MINED), ("answers", ANSWERS), ("mlqa", ANSWERS),
    ("answers_v2", ANSWERS), ("ranking", RANKINGS),
]  # fmt: skip


@pytest.mark.parametrize(("family", "strategy"), DRAWN, ids=[family for family, _ in DRAWN])
def test_properties(family, strategy):
    name = "answers" if family == "mlqa" else family

    @settings(max_examples=60, deadline=None)
    @given(rows=strategy, more=strategy, seed=st.integers(0, 99))
    def holds(rows, more, seed):
        both = columns_of(family, [*rows, *more])
        sums = column_sums(both)
        assert set(both) == set(FAMILIES[name].columns)
        for figure in values(name, sums).values():
            assert 0 <= float(figure) <= 100
        # The order of examples does not matter.
        order = np.random.default_rng(seed).permutation(len(rows) + len(more))
        shuffled = columns_of(family, [[*rows, *more][row] for row in order])
        for column, numbers in both.items():
            assert shuffled[column] == pytest.approx(numbers[order], abs=1e-12)
        # The score of a concatenation follows from the sums of its parts.
        parts = [column_sums(columns_of(family, part)) for part in (rows, more)]
        joined = {column: parts[0][column] + parts[1][column] for column in parts[0]}
        for metric, figure in values(name, sums).items():
            assert float(values(name, joined)[metric]) == pytest.approx(float(figure), abs=1e-9)
        # Weights are resamples: counting rows twice is concatenating them twice.
        weights = np.random.default_rng(seed).integers(0, 3, size=(4, len(order)))
        weighted = values(name, column_sums(both, weights))
        for metric, figures in weighted.items():
            assert figures.shape == (4,)
            for resample, figure in zip(weights, figures, strict=True):
                picked = {column: np.repeat(numbers, resample) for column, numbers in both.items()}
                assert float(values(name, column_sums(picked))[metric]) == pytest.approx(float(figure), abs=1e-9)

    holds()


@pytest.mark.parametrize(
    ("family", "rows"),
    [
        ("accuracy", [("a", "a"), ("b", "b")]),
        ("tagging", [[("B-PER", "B-PER"), ("I-PER", "I-PER")], [("NOUN", "NOUN")]]),
        ("mining", [({"x"}, {"x"})]),
        ("answers", [(["cat", "dog"], "dog")]),
        ("mlqa", [(["北京"], "北京。")]),
        ("answers_v2", [(["cat"], "the cat"), ([""], "")]),
        ("ranking", [({1, 2}, [2, 1, 0])]),
    ],
)
def test_perfect_is_100(family, rows):
    figures = values("answers" if family == "mlqa" else family, column_sums(columns_of(family, rows)))
    assert {name: float(figure) for name, figure in figures.items()} == dict.fromkeys(figures, 100.0)


def test_empty_denominators_are_zero():
    for family, members in FAMILIES.items():
        sums = column_sums({column: np.zeros(0) for column in members.columns})
        assert all(float(figure) == 0.0 for figure in values(family, sums).values()), family


def test_every_primary_metric_exists():
    assert all(family.primary in {metric.name for metric in family.metrics} for family in FAMILIES.values())


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"not of \[1, 2\]"):
        column_sums({"s_em": np.zeros(1), "s_f1": np.zeros(2)})


def test_labels_are_compared_as_python_does():
    columns = accuracy.statistics([1, "1", 0], [1.0, 1, False])
    assert columns["s_correct"].tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match="1 predictions for 2 labels"):
        accuracy.statistics(["a", "b"], ["a"])


def test_scoring_imports_nothing_heavy():
    """numpy and the standard library (and YAML, for the catalogue, where a whole folder is scored)."""
    code = (
        "import sys; import xtreme_dag.submissions.folder, xtreme_dag.scoring.ranking, "
        "xtreme_dag.scoring.squad_v2, xtreme_dag.scoring.tatoeba; "
        "print(sorted({'torch', 'prefect', 'pandas', 'pyarrow', 'transformers', 'scipy'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
