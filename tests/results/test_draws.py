"""Resampling: the right distribution, the same each time, shared where examples are shared."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtreme_dag.results.draws import draw, mean_of
from xtreme_dag.results.pairs import Leaf, as_mean, find_metric
from xtreme_dag.results.resample import counts, generator, resampled_sums, sums_of_kinds
from xtreme_dag.scoring.columns import column_sums
from xtreme_dag.scoring.combine import FAMILIES

ACCURACY = find_metric("accuracy", ["s_correct"])
TAGGING = find_metric("f1", ["s_tp", "s_pred", "s_gold", "s_tokens_correct", "s_tokens"])


def leaf(language, ids, blocks):
    return Leaf(
        language=language,
        ids=pa.array(ids),
        columns={run: np.asarray(block, np.float32) for run, block in blocks.items()},
        dropped=0,
    )


def random_leaf(rng, language, ids, seeds=(1, 2), columns=1):
    blocks = {
        (side, seed): rng.integers(0, 2, (len(ids), columns)) for side in ("condition", "baseline") for seed in seeds
    }
    return leaf(language, ids, blocks)


def stacked(draws):
    return np.concatenate(draws.resampled, axis=1)


@given(st.integers(1, 300), st.integers(1, 70))
def test_a_resample_draws_n_of_n(n, resamples):
    blocks = [block.copy() for block in counts(n, resamples, generator(0, "x"))]
    every = np.concatenate(blocks)
    assert every.shape == (resamples, n)
    assert (every.sum(axis=1) == n).all() and (every >= 0).all() and (every == np.rint(every)).all()


def test_counts_have_the_moments_of_a_multinomial():
    every = np.concatenate([block.copy() for block in counts(50, 20_000, generator(1, "x"))])
    assert every.mean(axis=0) == pytest.approx(np.ones(50), abs=0.04)
    assert every.var(axis=0) == pytest.approx(np.full(50, 49 / 50), rel=0.06)
    assert np.cov(every[:, 0], every[:, 1])[0, 1] == pytest.approx(-1 / 50, abs=0.02)


def test_all_resamples_of_three_rows_occur_as_often_as_they_should():
    sums = resampled_sums(np.array([[1], [10], [100]], np.float32), 30_000, generator(2, "x"))[:, 0]
    ways = [sum(drawn) for drawn in itertools.product((1, 10, 100), repeat=3)]
    for total in set(ways):
        assert (sums == total).mean() == pytest.approx(ways.count(total) / 27, abs=0.012)


def test_kinds_of_rows_give_the_same_distribution_as_rows():
    rng = np.random.default_rng(3)
    columns = rng.integers(0, 2, (4000, 4)).astype(np.float32)
    quick, plain = sums_of_kinds(columns, 3000, generator(4, "x")), resampled_sums(columns, 3000, generator(5, "x"))
    assert quick is not None and quick.shape == plain.shape
    assert quick.mean(axis=0) == pytest.approx(columns.sum(axis=0), rel=0.005)
    assert np.cov(quick.T) == pytest.approx(np.cov(plain.T), abs=0.12 * 1000)
    assert np.diag(np.cov(quick.T)) == pytest.approx(np.diag(np.cov(plain.T)), rel=0.1)


@pytest.mark.parametrize(
    "columns",
    [
        np.full((4000, 2), 0.5),  # not whole
        np.full((4000, 2), -1.0),  # negative
        np.arange(4000.0)[:, None],  # as many kinds as rows
        np.arange(20.0)[:, None],  # too few rows for it to pay
        np.full((4000, 2), 1e7),  # large
    ],
)
def test_rows_of_many_kinds_are_not_counted_by_kind(columns):
    assert sums_of_kinds(columns.astype(np.float32), 10, generator(0, "x")) is None


def test_the_same_seed_gives_the_same_figures_and_another_other_ones():
    leaves = [random_leaf(np.random.default_rng(0), "de", [str(i) for i in range(300)])]
    once, again, other = (draw(leaves, ACCURACY, resamples=50, seed=seed, task="t")["de"] for seed in (1, 1, 2))
    assert np.array_equal(stacked(once), stacked(again)) and not np.array_equal(stacked(once), stacked(other))
    assert np.array_equal(once.observed, other.observed)


def test_a_language_more_does_not_change_the_draws_of_another():
    rng = np.random.default_rng(0)
    de, fr = (random_leaf(rng, name, [f"{name}{i}" for i in range(200)]) for name in ("de", "fr"))
    alone = draw([fr], ACCURACY, resamples=50, seed=1, task="t")["fr"]
    both = draw([de, fr], ACCURACY, resamples=50, seed=1, task="t")["fr"]
    assert np.array_equal(stacked(alone), stacked(both))


def test_parallel_languages_are_drawn_together_whatever_their_order():
    rng = np.random.default_rng(1)
    ids = [f"q{i}" for i in range(400)]
    en = random_leaf(rng, "en", ids)
    turn = rng.permutation(len(ids))
    de = leaf("de", [ids[i] for i in turn], {run: block[turn] for run, block in en.columns.items()})
    found = draw([en, de], ACCURACY, resamples=60, seed=1, task="t")
    assert stacked(found["en"]) == pytest.approx(stacked(found["de"]))
    mean = mean_of(list(found.values())).spread
    assert mean.examples == pytest.approx(found["en"].spread.examples)  # nothing is gained by a copy


def test_languages_apart_are_drawn_apart():
    rng = np.random.default_rng(1)
    one = random_leaf(rng, "en", [f"en{i}" for i in range(400)])
    two = leaf("de", [f"de{i}" for i in range(400)], one.columns)
    found = draw([one, two], ACCURACY, resamples=400, seed=1, task="t")
    differences = [(d.resampled[0] - d.resampled[1]).mean(axis=1) for d in found.values()]
    assert abs(np.corrcoef(*differences)[0, 1]) < 0.2
    half = mean_of(list(found.values())).spread.examples / found["en"].spread.examples
    assert half == pytest.approx(0.5, abs=0.12)


def test_languages_that_share_some_examples():
    rng = np.random.default_rng(2)
    one = random_leaf(rng, "en", [f"q{i:03d}" for i in range(300)])
    two = random_leaf(rng, "de", [f"q{i:03d}" for i in range(150, 450)])
    found = draw([one, two], ACCURACY, resamples=2000, seed=1, task="t")
    for name, part in (("en", one), ("de", two)):
        apart = draw([part], ACCURACY, resamples=2000, seed=3, task="t")[name]
        assert found[name].spread.examples == pytest.approx(apart.spread.examples, rel=0.12)
        assert np.array_equal(found[name].observed, apart.observed)


@given(st.data())
def test_figures_are_those_of_the_scorer(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    family = data.draw(st.sampled_from(sorted(FAMILIES)))
    entries = {metric.name: metric for metric in FAMILIES[family].metrics}
    name = data.draw(st.sampled_from(sorted(entries)))
    n = data.draw(st.integers(1, 40))
    columns = {column: rng.integers(0, 2, n).astype(float) for column in FAMILIES[family].columns}
    metric = find_metric(name, FAMILIES[family].columns)
    block = np.stack([columns[column] for column in metric.columns], axis=1)
    runs = {("condition", 1): block, ("baseline", 1): np.zeros_like(block)}
    found = draw([leaf("xx", [str(i) for i in range(n)], runs)], metric, resamples=3, seed=0, task="t")["xx"]
    expected = entries[name].combine(column_sums(columns))
    assert found.observed[0][0] == pytest.approx(float(expected), abs=1e-4)


@pytest.mark.parametrize(
    ("name", "columns", "is_mean"),
    [
        ("accuracy", ["s_correct"], True),
        ("em_f1_mean", ["s_em", "s_f1"], True),
        ("map@20", ["s_rr", "s_ap", "s_correct"], True),
        ("f1", ["s_tp", "s_pred", "s_gold"], False),
        ("precision", ["s_tp", "s_pred", "s_gold"], False),
        ("token_accuracy", list(FAMILIES["tagging"].columns), False),
        ("no_answer_accuracy", list(FAMILIES["answers_v2"].columns), False),
    ],
)
def test_which_metrics_are_means_of_examples(name, columns, is_mean):
    assert find_metric(name, columns).is_mean is is_mean


def test_a_mean_needs_one_column():
    rng = np.random.default_rng(0)
    metric = find_metric("em_f1_mean", ["s_em", "s_f1"])
    f1 = rng.random((20, 1))
    block = np.concatenate([(f1 > 0.7).astype(float), f1], axis=1)
    shorter, part = as_mean(metric, leaf("xx", [str(i) for i in range(20)], {("condition", 1): block}))
    assert part.columns["condition", 1][:, 0] == pytest.approx(block.mean(axis=1))
    assert shorter.columns == ("share",)


def test_the_mean_over_tasks_uses_the_seeds_that_all_have():
    rng = np.random.default_rng(0)
    ids = [str(i) for i in range(50)]
    one = draw([random_leaf(rng, "en", ids, seeds=(1, 2, 3))], ACCURACY, resamples=20, seed=0, task="a")["en"]
    two = draw([random_leaf(rng, "en", ids, seeds=(3, 2))], ACCURACY, resamples=20, seed=0, task="b")["en"]
    both = mean_of([one, two])
    assert both.seeds == ((2, 3), (2, 3))
    assert both.observed[0] == pytest.approx((one.observed[0][1:] + two.observed[0][::-1]) / 2)
    three = draw([random_leaf(rng, "en", ids, seeds=(9,))], ACCURACY, resamples=20, seed=0, task="c")["en"]
    none_common = mean_of([one, three])
    assert none_common.seeds == ((-1,), (-1,))
    assert none_common.observed[0][0] == pytest.approx((one.observed[0].mean() + three.observed[0].mean()) / 2)


def test_chunk_f1_reweights_sums():
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 5, 120)
    blocks = {
        ("condition", 1): np.stack([gold, gold, gold], axis=1),
        ("baseline", 1): np.stack([np.zeros(120), np.ones(120), gold], axis=1),
    }
    found = draw([leaf("xx", [str(i) for i in range(120)], blocks)], TAGGING, resamples=30, seed=0, task="t")["xx"]
    assert (found.resampled[0] == pytest.approx(100.0)) and (found.resampled[1] == 0.0).all()
