"""Examples that hang together are drawn with their group: the sums are right, and the intervals cover what they promise."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from bench.clusters import World, clustered, covered
from tests.results.synthetic_study import in_groups
from xtreme_dag.core.home import Home
from xtreme_dag.results.compare import compare_conditions
from xtreme_dag.results.draws import draw
from xtreme_dag.results.landing import land
from xtreme_dag.results.pairs import Leaf, find_metric, folded, read_leaves
from xtreme_dag.results.predictions import Predictions
from xtreme_dag.tables.predictions import CLUSTER, CLUSTER_IF_ASKED

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


CONDITIONS, TASKS = {"none": 0.5, "mixed": 0.6}, {"xquad": "answers"}


def grouped(make, home, column, *, told=None, languages=None):
    """A study of parallel tables in three languages, of 120 examples in 12 groups of ten that are alike."""
    made = make(conditions=CONDITIONS, tasks=TASKS, seeds=(1,), splits=("test",), n=120)
    in_groups(made, column, of=10, languages=languages)
    made.study = replace(made.study, recipe={"compare": told or {}})
    land(Home(home), *made.arguments)
    return made


def compared(home, clusters=None):
    (one,) = compare_conditions(Home(home), resamples=400, clusters=clusters)
    notes = [note for note in one.notes if "hang together" in note]
    return one, {effect.language: effect.standard_error for effect in one.languages}, notes


def test_paragraphs_are_drawn_as_wholes_where_that_is_asked_for(make, home):
    grouped(make, home, CLUSTER_IF_ASKED)
    alone, apart, notes = compared(home)
    assert notes == []
    whole, together, notes = compared(home, clusters=True)
    # 12 groups, which the three languages share
    assert notes == ["xquad: 12 groups of examples that hang together are drawn as wholes"]
    # ten examples that are all alike say as much as one
    for code, error in together.items():
        assert error / apart[code] == pytest.approx(np.sqrt(10), rel=0.2)
    assert whole.overall.delta == pytest.approx(alone.overall.delta)
    assert whole.overall.high - whole.overall.low > 2 * (alone.overall.high - alone.overall.low)
    assert whole.overall.n == alone.overall.n == 360 and whole.overall.spread.n < alone.overall.spread.n


def test_the_study_file_asks_for_wholes_and_the_command_line_overrules_it(make, home):
    grouped(make, home, CLUSTER_IF_ASKED, told={"clusters": True})
    assert compared(home)[1] == compared(home, clusters=True)[1]
    assert compared(home)[2] and not compared(home, clusters=False)[2]


def test_a_format_whose_examples_always_hang_together_is_always_drawn_as_wholes(make, home):
    grouped(make, home, CLUSTER)
    _, never, notes = compared(home, clusters=False)
    assert notes == ["xquad: 12 groups of examples that hang together are drawn as wholes"]
    assert compared(home)[1] == compared(home, clusters=True)[1] == never


def test_a_language_without_groups_is_drawn_example_by_example(make, home):
    grouped(make, home, CLUSTER, languages=["de", "sw"])
    one, errors, notes = compared(home)
    assert notes == ["xquad: 12 groups of examples that hang together are drawn as wholes"]
    assert {effect.language: effect.spread.n for effect in one.languages} == {"de": 12, "sw": 12, "en": 120}
    assert errors["en"] < 0.6 * min(errors["de"], errors["sw"])


def test_predictions_are_read_with_their_groups_where_they_have_them(make, home):
    made = grouped(make, home, CLUSTER_IF_ASKED, languages=["de"])
    files = {}
    for row in made.evaluations:
        side = "baseline" if row.condition == "none" else "condition"
        files.setdefault(row.language, {})[side, 1] = str(row.artifact.relative_to(home) / "predictions.parquet")
    metric, predictions = find_metric("f1", ["s_em", "s_f1"]), Predictions(Home(home))
    leaves = {leaf.language: leaf for leaf in read_leaves(files, metric, predictions, CLUSTER_IF_ASKED)}
    assert leaves["de"].cluster.to_pylist() == [f"xquad-test-{place // 10 * 10}" for place in range(120)]
    assert leaves["en"].cluster is None and leaves["sw"].cluster is None
    assert all(leaf.cluster is None for leaf in read_leaves(files, metric, predictions))
    # one side that knows the groups (the other may be imported) is enough
    (half,) = read_leaves({"de": {**files["de"], ("condition", 1): files["en"]["condition", 1]}}, metric, predictions, CLUSTER_IF_ASKED)  # fmt: skip
    assert half.cluster.equals(leaves["de"].cluster)
