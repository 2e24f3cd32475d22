"""Slots and their values: encoded choices, scores by slot, the loss, and predictions that the evaluation writes."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.evaluation.conftest import base, make_context, make_inputs, make_model, miniworld  # noqa: F401
from xtreme_dag.evaluation.dialogue import evaluate_dialogues
from xtreme_dag.evaluation.engine import sequences_of
from xtreme_dag.formats.dialogue_state import FORMAT
from xtreme_dag.heads import HeadSpec, slot_values
from xtreme_dag.heads.batches import HostBatch
from xtreme_dag.heads.trained import load_model
from xtreme_dag.model.layers import SlotScores, initialise
from xtreme_dag.tables.canonical import schema_of
from xtreme_dag.tables.encoded import open_encoded
from xtreme_dag.training.pools import labelled

LABELS = ("food=apple", "food=onion", "food=pear", "area=field", "area=barn", "request=boat", "request=hat")
FACTS = {"task": "slots", "dataset": "d", "language": "en", "split": "test", "labels": LABELS, "recipe": {},
         "declared": FORMAT.facts("cluster", "cluster_if_asked")}  # fmt: skip


def rows(*turns):
    made = []
    for place, (dialogue, labels, state) in enumerate(turns):
        made.append({"id": f"t{place}", "language": "en", "split": "test", "dialogue": dialogue, "turn": place,
                     "system": "", "acts": ["two hat", "the boat"] if place else [], "text": "the farmer sold a pear",
                     "labels": labels, "state": state})  # fmt: skip
    return pa.Table.from_pylist(made, schema=schema_of(FORMAT))


@pytest.fixture(scope="module")
def table():
    return rows(
        ("a", ["food=pear", "request=hat"], ["food=pear"]),
        ("a", ["area=dontcare"], ["area=dontcare", "food=pear"]),
        ("b", ["food=corsican", "request=boat", "request=hat"], ["food=corsican"]),  # in no list
        ("b", None, None),
    )


@pytest.fixture(scope="module")
def inputs(table, make_model, make_inputs):  # noqa: F811
    model = make_model(slots=HeadSpec(kind="slot_values", labels=LABELS))
    return {"model": model, **make_inputs(table, format="dialogue_state", head="slot_values", labels=LABELS)}


def test_choices_are_places_in_the_ontology(inputs):
    encoded = open_encoded(inputs["encoded"])
    classes = encoded.per_example("classes")
    assert classes.tolist() == [[4, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 1], [-1, -1, -1, -1]]
    assert labelled(encoded, "slot_values").tolist() == [True, True, True, False]
    drawn = slot_values.shuffle(encoded, np.array([0, 1, 2]), np.random.default_rng(3))["classes"]
    assert sorted(drawn.tolist()) == sorted(classes.tolist()) and drawn[3].tolist() == [-1] * 4


def test_scores_are_softmaxes_over_slots_and_sigmoids_of_requests():
    layers = SlotScores(8, [5, 4], 2, dropout=0.0)
    initialise(layers, 0.5, 1)
    states = torch.randn(9, 8, generator=torch.Generator().manual_seed(1))
    bounds = torch.tensor([0, 2, 3, 9], dtype=torch.int32)
    found = layers(states, bounds)
    assert found.shape == (3, 4, 5)
    weights = dict(layers.named_parameters())
    for turn, (low, high) in enumerate([(0, 2), (2, 3), (3, 9)]):
        own, first = states[low:high], 0
        for slot, size in enumerate((5, 4, 1, 1)):
            spoken = (own @ weights["query.weight"][slot]).softmax(dim=0) @ own
            inner = torch.tanh(weights["dense.weight"] @ spoken + weights["dense.bias"])
            flat = (weights["out.weight"] @ inner + weights["out.bias"])[first : first + size]
            there = found[turn, slot, :size] if size > 1 else found[turn, slot, 1:2]
            torch.testing.assert_close(there, flat)
            first += size
    shares = found.detach().softmax(dim=-1)
    torch.testing.assert_close(shares[:, 2:, 1], found[:, 2:, 1].detach().sigmoid())
    assert (shares[:, 1, 4] == 0).all() and (shares[:, 2:, 2:] == 0).all()
    gold = {"classes": torch.tensor([[4, 0, 0, 1], [0, 1, 1, 0], [2, 3, 0, 0]])}
    summed = -sum(math.log(shares[turn, slot, gold["classes"][turn, slot]]) for turn in range(3) for slot in range(4))
    assert slot_values.loss(layers, found, gold).item() == pytest.approx(summed, rel=1e-5)
    assert int(slot_values.right(found, {"classes": found.argmax(dim=-1)})) == 3
    slot_values.loss(layers, found, gold).backward()
    assert all(torch.isfinite(one.grad).all() for one in layers.parameters())


def test_a_batch_of_turns_has_a_row_of_choices_for_each(inputs):
    encoded = open_encoded(inputs["encoded"])
    batch = HostBatch(
        ids=encoded.ids, types=None, lengths=encoded.lengths, per_example=np.ones(4, np.int64),
        example_gold={"classes": encoded.per_example("classes")}, sequence_gold={}, token_gold={},
    )  # fmt: skip
    assert slot_values.gold(batch.part(1, 3))["classes"].tolist() == [[0, 1, 0, 0], [0, 0, 1, 1]]


def test_the_evaluation_accumulates_what_the_model_chooses(inputs, make_context, tmp_path):  # noqa: F811
    told = evaluate_dialogues(FACTS, inputs, make_context(tmp_path))
    found = pq.read_table(tmp_path / "predictions.parquet").to_pylist()
    assert told["examples"] == 4 and [row["cluster"] for row in found] == ["t0", "t0", "t2", "t2"]
    assert found[3]["gold"] is None and found[3]["s_joint"] is None and found[0]["s_joint"] is not None
    model, encoded = load_model(inputs["model"]), open_encoded(inputs["encoded"])
    with torch.no_grad():
        scores = model.scores("slots", sequences_of([encoded]).packed(np.arange(4), torch.device("cpu")))
    best = scores.softmax(dim=-1).max(dim=-1)
    assert [row["score"] for row in found] == pytest.approx(best.values.prod(dim=-1).tolist(), abs=2e-4)
    foods = ("none", "dontcare", "apple", "onion", "pear")
    for row, choice in zip(found, best.indices.tolist(), strict=True):
        assert (f"food={foods[choice[0]]}" in row["prediction"]) == (choice[0] > 0)
        assert ('request=boat"' in row["prediction"]) == (choice[2] == 1)


def test_an_open_label_set_is_that_of_turns_and_states(table):
    found, same = slot_values.open_set(table.slice(0, 2), table)
    assert found == ["area=dontcare", "food=pear", "request=hat"] and same is table
