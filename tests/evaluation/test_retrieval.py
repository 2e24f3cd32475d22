"""Sentence retrieval and mining from encoded tables, against plain numpy."""

import json
from functools import cache

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from xtreme_dag.core.errors import UserError
from xtreme_dag.evaluation.bucc import evaluate_bucc
from xtreme_dag.evaluation.embeddings import chosen_layer, chosen_pooling, distinct_sequences
from xtreme_dag.evaluation.engine import sequences_of
from xtreme_dag.evaluation.tatoeba import evaluate_tatoeba
from xtreme_dag.heads import HeadSpec
from xtreme_dag.tables.encoded import open_encoded

FACTS = {"task": "t", "dataset": "d", "language": "qad", "split": "test"}


@pytest.fixture(scope="module")
def parallel(miniworld, make_inputs):
    return make_inputs(miniworld("parallel", "qad", rows=120), format="parallel", head="embedding")


@pytest.fixture(scope="module")
def layers_of(base):
    """Hidden states of all layers of one sequence by transformers itself."""
    from transformers import AutoModel

    encoder = AutoModel.from_pretrained(base / "encoder", add_pooling_layer=False).eval()

    @cache
    def layers(ids):
        with torch.no_grad():
            output = encoder(torch.tensor([ids]), output_hidden_states=True)
        return [state[0].numpy() for state in output.hidden_states]

    return lambda ids: layers(tuple(ids))


def pooled(states, pooling):
    if pooling == "cls":
        return states[0]
    return states.mean(axis=0) if pooling == "mean" else states[1:-1].mean(axis=0)


def cosines(left, right):
    left, right = (np.stack(v).astype(np.float64) for v in (left, right))
    return (left / np.linalg.norm(left, axis=1)[:, None]) @ (right / np.linalg.norm(right, axis=1)[:, None]).T


@pytest.mark.parametrize("pooling", ["mean", "mean_without_special", "cls"])
@pytest.mark.parametrize("layer", [0, 2, 4, None])
def test_tatoeba_asks_in_english_from_any_layer_and_pooling(
    base, parallel, layers_of, make_context, tmp_path, pooling, layer
):
    context = make_context(tmp_path / "out", batch_tokens=400)
    recipe = {"layer": layer, "pooling": pooling}
    evaluate_tatoeba({**FACTS, "recipe": recipe}, {"model": base, **parallel}, context)
    table = pq.read_table(context.out / "predictions.parquet")
    sequences = open_encoded(parallel["encoded"]).sequences["input_ids"].to_pylist()
    used = 2 if layer is None else layer
    vectors = [pooled(layers_of(ids)[used], pooling) for ids in sequences]
    similar = cosines(vectors[1::2], vectors[0::2])
    best = similar.max(axis=1)
    found = table["row"].to_numpy()
    # Layer 0's first token is the same everywhere: all cosines are 1.
    np.testing.assert_allclose(similar[np.arange(len(found)), found], best, atol=1e-5)
    np.testing.assert_allclose(table["score"].to_numpy(), best, atol=1.1e-4)
    names = table["id"].to_pylist()
    assert table["prediction"].to_pylist() == [names[row] for row in found]
    right = 100 * (found == np.arange(len(found))).mean()
    assert json.loads((context.out / "scores.json").read_text())["metrics"]["accuracy"] == pytest.approx(right)


def test_the_sweep_is_reported_apart_and_decides_nothing(base, parallel, make_context, tmp_path):
    inputs = {"model": base, **parallel}
    alone = {}
    for layer in range(5):
        context = make_context(tmp_path / str(layer))
        evaluate_tatoeba({**FACTS, "recipe": {"layer": layer}}, inputs, context)
        alone[layer] = (context.out / "predictions.parquet").read_bytes()
        assert not (context.out / "sweep.json").exists()
    context = make_context(tmp_path / "sweep")
    evaluate_tatoeba({**FACTS, "recipe": {"layer": 1, "sweep": True}}, inputs, context)
    assert (context.out / "predictions.parquet").read_bytes() == alone[1]
    sweep = json.loads((context.out / "sweep.json").read_text())
    assert sweep["recipe_layer"] == 1 and [entry["layer"] for entry in sweep["layers"]] == list(range(5))
    for layer in range(5):
        scores = json.loads((tmp_path / str(layer) / "scores.json").read_text())
        assert sweep["layers"][layer]["accuracy"] == pytest.approx(scores["metrics"]["accuracy"])
    assert max(entry["accuracy"] for entry in sweep["layers"]) > sweep["layers"][0]["accuracy"] - 1e-9


@pytest.mark.parametrize("k", [None, 2])
def test_the_ratio_margin_is_an_option(base, parallel, layers_of, make_context, tmp_path, k):
    context = make_context(tmp_path / "out")
    recipe = {"layer": 2, "similarity": "ratio", "margin_k": k}
    k = k or 4
    evaluate_tatoeba({**FACTS, "recipe": recipe}, {"model": base, **parallel}, context)
    sequences = open_encoded(parallel["encoded"]).sequences["input_ids"].to_pylist()
    vectors = [pooled(layers_of(ids)[2], "mean") for ids in sequences]
    similar = cosines(vectors[1::2], vectors[0::2])
    level_e, level_f = (-np.sort(-side, axis=1)[:, :k].mean(axis=1) for side in (similar, similar.T))
    near = np.argsort(-similar, axis=1)[:, :k]
    margin = np.take_along_axis(2 * similar / (level_e[:, None] + level_f), near, axis=1)
    table = pq.read_table(context.out / "predictions.parquet")
    np.testing.assert_allclose(table["score"].to_numpy(), margin.max(axis=1), atol=1.1e-4)


def test_layers_and_names_are_checked(base, parallel, make_context, tmp_path):
    assert [chosen_layer({}, depth) for depth in (24, 12, 4, 2, 1)] == [14, 7, 2, 1, 1]
    bucc = {"vectors": "bucc"}
    assert [chosen_layer(bucc, depth) for depth in (24, 12, 4, 2, 1)] == [20, 10, 3, 2, 1]
    assert (chosen_pooling({}), chosen_pooling(bucc)) == ("mean", "cls")
    assert chosen_layer({**bucc, "layer": 3}, 24) == 3 and chosen_pooling({**bucc, "pooling": "mean"}) == "mean"
    with pytest.raises(UserError, match="unknown recipe of vectors 'bucK'"):
        chosen_pooling({"vectors": "bucK"})
    inputs = {"model": base, **parallel}
    for recipe, message in (
        ({"layer": 5}, "no layer 5"),
        ({"pooling": "meen"}, "did you mean 'mean'"),
        ({"similarity": "cosin"}, "did you mean 'cosine'"),
        ({"pooling": "dual"}, "no dual head"),
    ):
        with pytest.raises(UserError, match=message):
            evaluate_tatoeba({**FACTS, "recipe": recipe}, inputs, make_context(tmp_path / message.split()[0]))


def test_equal_sequences_are_embedded_once(parallel):
    sequences = sequences_of([open_encoded(parallel["encoded"])] * 2)
    once, place = distinct_sequences(sequences)
    assert len(once.lengths) <= len(sequences.lengths) / 2
    for row in (0, 7, 200, 300):
        original = sequences.ids[sequences.offsets[row] : sequences.offsets[row + 1]]
        kept = once.ids[once.offsets[place[row]] : once.offsets[place[row] + 1]]
        np.testing.assert_array_equal(original, kept)


def test_a_dual_head_gives_the_vectors_where_the_recipe_says_so(
    make_model, parallel, make_context, same_outcome, tmp_path
):
    model = make_model(t=HeadSpec(kind="dual"))
    for batch_tokens in (50, 5000):
        context = make_context(tmp_path / str(batch_tokens), batch_tokens=batch_tokens)
        evaluate_tatoeba({**FACTS, "recipe": {"pooling": "dual"}}, {"model": model, **parallel}, context)
        same_outcome(tmp_path / "50", context.out)


@pytest.fixture(scope="module")
def pools(miniworld, make_inputs):
    """A dev and a test part of a mining task."""
    params = {"format": "bitext_mining", "head": "embedding"}
    rows = miniworld("bitext_mining", "qad", rows=240)
    return {
        "dev": make_inputs(rows, **params),
        "test": make_inputs(miniworld("bitext_mining", "qad", rows=200), **params),
    }


def test_the_mining_threshold_is_chosen_on_dev_and_applied_to_test(base, pools, make_context, tmp_path):
    recipe = {"layer": 1}
    dev, test = make_context(tmp_path / "dev"), make_context(tmp_path / "test")
    evaluate_bucc({**FACTS, "split": "dev", "recipe": recipe}, {"model": base, **pools["dev"]}, dev)
    threshold = json.loads((dev.out / "scores.json").read_text())
    assert threshold["threshold_chosen_on"] == "dev"
    evaluate_bucc({**FACTS, "recipe": recipe}, {"model": base, "calibration": dev.out, **pools["test"]}, test)
    scores = json.loads((test.out / "scores.json").read_text())
    assert scores["threshold"] == threshold["threshold"] and scores["threshold_chosen_on"] == "dev"
    pairs = pq.read_table(test.out / "pairs.parquet")
    taken = pairs.filter(pairs["taken"])
    assert min(taken["score"].to_pylist()) >= round(threshold["threshold"], 4) - 1e-4
    table = pq.read_table(test.out / "predictions.parquet")
    given = {(row["id"], name) for row in table.to_pylist() for name in row["prediction"].split()}
    assert given == set(zip(taken["foreign"].to_pylist(), taken["english"].to_pylist(), strict=True))
    gold = {(row["id"], name) for row in table.to_pylist() for name in row["gold"].split()}
    precision, recall = len(given & gold) / len(given), len(given & gold) / len(gold)
    assert scores["metrics"]["f1"] == pytest.approx(200 * precision * recall / (precision + recall))
    sums = {name: table[name].to_numpy().sum() for name in ("s_tp", "s_pred", "s_gold")}
    assert sums == {"s_tp": len(given & gold), "s_pred": len(given), "s_gold": len(gold)}


def test_a_threshold_chosen_on_the_scored_split_is_called_so(base, pools, make_context, tmp_path):
    context = make_context(tmp_path / "out")
    evaluate_bucc({**FACTS, "recipe": {}}, {"model": base, **pools["test"]}, context)
    assert json.loads((context.out / "scores.json").read_text())["threshold_chosen_on"] == "test"
