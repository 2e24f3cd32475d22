"""Examples that hang together are drawn with their group: the sums are right, and the intervals cover what they promise."""

import numpy as np
import pyarrow as pa
import pytest

from bench.clusters import World, clustered, covered
from xtreme_dag.results.draws import draw
from xtreme_dag.results.pairs import Leaf, find_metric, folded

ACCURACY = find_metric("accuracy", ["s_correct"])
FOUND = find_metric("f1", ["s_tp", "s_pred", "s_gold", "s_tokens_correct", "s_tokens"])


def leaf(language, cluster, *columns):
    ids = pa.array([f"{place:03d}" for place in range(len(columns[0]))])
    sides = dict(zip((("condition", 1), ("baseline", 1)), columns, strict=False))
    blocks = {run: np.asarray(block, np.float32).reshape(len(ids), -1) for run, block in sides.items()}
    return Leaf(language=language, ids=ids, columns=blocks, dropped=0, cluster=pa.array(cluster))


def test_a_group_brings_all_of_its_examples():
    one = leaf("en", ["a", "b", "b", "c", "a"], [1, 0, 1, 1, 0], [1, 1, 1, 1, 1])
    whole = folded(one)
    assert (whole.n, whole.examples) == (3, 5) and whole.ids.to_pylist() == ["a", "b", "c"]
    assert whole.columns["condition", 1].ravel().tolist() == [1, 1, 1] and whole.sizes.tolist() == [2, 2, 1]
    found = draw([one], ACCURACY, resamples=4000, seed=1, task="t")["en"]
    assert found.observed[0].tolist() == [60.0] and (found.n, found.smallest, found.mcnemar) == (5, 3, None)
    # every resample is a ratio of sums over three groups, with as many examples as those have
    right, sizes = np.array([1, 1, 1]), np.array([2, 2, 1])
    ways = np.stack(np.meshgrid(*[range(3)] * 3), axis=-1).reshape(-1, 3)
    every = np.unique(np.round(100 * right[ways].sum(axis=1) / sizes[ways].sum(axis=1), 4))
    assert np.array_equal(np.unique(np.round(found.resampled[0], 4)), every)
    shares = 100 * right[ways].sum(axis=1) / sizes[ways].sum(axis=1)
    assert found.resampled[0].std() == pytest.approx(shares.std(), rel=0.05)


def test_groups_of_one_are_examples():
    rng = np.random.default_rng(0)
    blocks = [rng.integers(0, 4, (60, 5)) for _ in range(2)]
    alone = leaf("en", [f"{place:03d}" for place in range(60)], *blocks)
    plain = Leaf(language="en", ids=alone.ids, columns=alone.columns, dropped=0)
    for metric, one, other in ((FOUND, alone, plain),):
        a, b = (draw([each], metric, resamples=200, seed=3, task="t")["en"] for each in (one, other))
        assert np.allclose(a.resampled[0], b.resampled[0]) and a.spread == b.spread


def test_languages_with_the_same_groups_share_their_draws():
    rng = np.random.default_rng(1)
    groups = [f"g{place // 3}" for place in range(30)]
    right, other = rng.integers(0, 2, 30), rng.integers(0, 2, 30)
    de, en = leaf("de", groups, right, other), leaf("en", groups, right, other)
    found = draw([de, en], ACCURACY, resamples=100, seed=1, task="t")
    assert np.array_equal(found["de"].resampled[0], found["en"].resampled[0])
    # a language that lacks two groups has the draws of the rest
    fewer = leaf("it", groups[:24], right[:24], other[:24])
    found = draw([en, fewer], ACCURACY, resamples=300, seed=1, task="t")
    assert np.corrcoef(found["en"].resampled[0].ravel(), found["it"].resampled[0].ravel())[0, 1] > 0.7
    assert (found["it"].n, found["it"].smallest) == (24, 8)


def test_intervals_cover_where_examples_hang_together():
    """Groups of 5-20 examples; drawing the examples one by one covers far less (bench/clusters.py has the table)."""
    world = World(groups=60)
    shares = np.mean([covered((number, world)) for number in range(500)], axis=0)
    assert 0.93 <= shares[0] <= 0.97
    assert shares[1] < 0.85


def test_simulated_examples_hang_together():
    rng = np.random.default_rng(3)
    one = clustered(rng, World(groups=400))
    sizes = np.unique(one.cluster.to_pylist(), return_counts=True)[1]
    assert sizes.min() >= 5 and sizes.max() <= 20
