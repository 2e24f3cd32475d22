"""Every head against a plain reference: one sequence at a time through transformers' own forward, heads by hand."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from xtreme_dag.core.errors import UserError
from xtreme_dag.evaluation.classification import evaluate_classification
from xtreme_dag.evaluation.multiple_choice import evaluate_multiple_choice
from xtreme_dag.evaluation.tagging import evaluate_tagging, word_places
from xtreme_dag.heads import HeadSpec
from xtreme_dag.tables.encoded import open_encoded

NLI = ("contradiction", "entailment", "neutral")
FACTS = {"task": "t", "dataset": "d", "language": "en", "split": "test", "recipe": {}}


@pytest.fixture(scope="module")
def tags(miniworld):
    return tuple(sorted({tag for row in miniworld("tagging", rows=200)["tags"].to_pylist() for tag in row}))


@pytest.fixture(scope="module")
def model(make_model, tags):
    return make_model(
        nli=HeadSpec(kind="classification", labels=NLI),
        choose=HeadSpec(kind="multiple_choice"),
        pos=HeadSpec(kind="tagging", labels=tags),
    )


@pytest.fixture(scope="module")
def plain(model):
    """Hidden states of one sequence by transformers itself, and the heads' weights."""
    from safetensors.torch import load_file
    from transformers import AutoModel

    encoder = AutoModel.from_pretrained(model / "encoder", add_pooling_layer=False).eval()
    weights = load_file(model / "heads.safetensors")

    def states(ids):
        with torch.no_grad():
            return encoder(torch.tensor([list(ids)])).last_hidden_state[0]

    def dense(name, hidden):
        inner = torch.tanh(hidden @ weights[f"{name}.dense.weight"].T + weights[f"{name}.dense.bias"])
        return inner @ weights[f"{name}.out.weight"].T + weights[f"{name}.out.bias"]

    def linear(name, hidden):
        return hidden @ weights[f"{name}.out.weight"].T + weights[f"{name}.out.bias"]

    return states, dense, linear


def outcome(folder):
    return pq.read_table(folder / "predictions.parquet"), json.loads((folder / "scores.json").read_text())


def test_classification_equals_the_reference_whatever_the_batch(
    model, plain, miniworld, make_inputs, make_context, same_outcome, tmp_path
):
    states, dense, _ = plain
    rows = miniworld("pair_classification")
    inputs = {"model": model, **make_inputs(rows, format="pair_classification", head="classification", labels=NLI)}
    for name, batch_tokens in (("200", 200), ("again", 200), ("1", 1), ("100000", 100_000)):
        evaluate_classification(
            {**FACTS, "labels": NLI}, inputs, make_context(tmp_path / name, batch_tokens=batch_tokens)
        )
        same_outcome(tmp_path / "200", tmp_path / name)
    for name in ("predictions.parquet", "scores.json"):
        assert (tmp_path / "200" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()

    table, scores = outcome(tmp_path / "200")
    encoded = open_encoded(inputs["encoded"])
    for row, ids in enumerate(encoded.sequences["input_ids"].to_pylist()):
        share = dense("nli", states(ids)[0]).softmax(-1)
        assert table["prediction"][row].as_py() == NLI[int(share.argmax())]
        assert table["score"][row].as_py() == pytest.approx(float(share.max()), abs=1e-4)
    right = np.array(table["gold"].to_pylist()) == np.array(table["prediction"].to_pylist())
    np.testing.assert_array_equal(table["s_correct"].to_numpy(), right)
    assert table["gold"].to_pylist() == rows["label"].to_pylist()
    assert table["tokens"].to_pylist() == [len(ids) for ids in encoded.sequences["input_ids"].to_pylist()]
    assert scores["n"] == 60 and scores["metrics"]["accuracy"] == pytest.approx(100 * right.mean())


def test_examples_without_a_label_are_predicted_and_not_counted(model, miniworld, make_inputs, make_context, tmp_path):
    rows = miniworld("pair_classification", rows=9)
    labels = [None if row % 3 == 0 else label for row, label in enumerate(rows["label"].to_pylist())]
    for name, given, counted in (("some", labels, 6), ("none", [None] * 9, 0)):
        blanked = rows.set_column(rows.schema.get_field_index("label"), "label", pa.array(given, pa.string()))
        inputs = make_inputs(blanked, format="pair_classification", head="classification", labels=NLI)
        context = make_context(tmp_path / name)
        evaluate_classification({**FACTS, "labels": NLI}, {"model": model, **inputs}, context)
        table, scores = outcome(context.out)
        assert table["prediction"].null_count == 0
        assert [value is None for value in table["s_correct"].to_pylist()] == [label is None for label in given]
        assert scores["n"] == counted and bool(scores["metrics"]) == bool(counted)


def test_multiple_choice_equals_the_reference(model, plain, miniworld, make_inputs, make_context, tmp_path):
    states, dense, _ = plain
    rows = miniworld("multiple_choice", choices=3)
    inputs = {"model": model, **make_inputs(rows, format="multiple_choice", head="multiple_choice")}
    context = make_context(tmp_path / "out", batch_tokens=300)
    evaluate_multiple_choice(FACTS, inputs, context)
    table, scores = outcome(context.out)
    sequences = open_encoded(inputs["encoded"]).sequences["input_ids"].to_pylist()
    for row in range(60):
        choices = torch.stack([dense("choose", states(ids)[0])[0] for ids in sequences[3 * row : 3 * row + 3]])
        assert table["prediction"][row].as_py() == str(int(choices.argmax()))
        assert table["score"][row].as_py() == pytest.approx(float(choices.softmax(0).max()), abs=1e-4)
    assert table["gold"].to_pylist() == [str(label) for label in rows["label"].to_pylist()]
    right = table["s_correct"].to_numpy()
    assert scores["metrics"] == {"accuracy": pytest.approx(100 * right.mean())}


def test_tagging_joins_windows_again_word_by_word(model, plain, tags, miniworld, make_inputs, make_context, tmp_path):
    states, _, linear = plain
    rows = miniworld("tagging")
    inputs = {
        "model": model,
        **make_inputs(rows, format="tagging", head="tagging", labels=tags, max_length=9),
    }
    encoded = open_encoded(inputs["encoded"])
    assert len(encoded.lengths) > 1.5 * len(encoded)
    context = make_context(tmp_path / "out", batch_tokens=150)
    evaluate_tagging({**FACTS, "labels": tags}, inputs, context)
    table, scores = outcome(context.out)

    expected = [["?"] * len(words) for words in rows["words"].to_pylist()]
    for sequence in encoded.sequences.to_pylist():
        hidden = linear("pos", states(sequence["input_ids"]))
        for at, word in enumerate(sequence["word"]):
            if word >= 0:
                expected[sequence["example"]][word] = tags[int(hidden[at].argmax())]
    assert [text.split(" ") for text in table["prediction"].to_pylist()] == expected
    gold = rows["tags"].to_pylist()
    assert [text.split(" ") for text in table["gold"].to_pylist()] == gold
    same = [sum(a == b for a, b in zip(x, y, strict=True)) for x, y in zip(gold, expected, strict=True)]
    assert table["s_tokens_correct"].to_pylist() == same
    assert table["s_tokens"].to_pylist() == [len(row) for row in gold]
    total = 100 * sum(same) / sum(map(len, gold))
    assert scores["metrics"]["token_accuracy"] == pytest.approx(total) and scores["primary"] == "f1"


def test_every_word_has_one_place(tags, miniworld, make_inputs):
    rows = miniworld("tagging", rows=30)
    inputs = make_inputs(rows, format="tagging", head="tagging", labels=tags, max_length=7)
    places = word_places(open_encoded(inputs["encoded"]))
    words = sum(map(len, rows["words"].to_pylist()))
    assert sorted(places[places >= 0].tolist()) == list(range(words))


def test_a_model_without_the_head_is_refused_with_what_it_has(
    base, model, miniworld, make_inputs, make_context, tmp_path
):
    inputs = make_inputs(
        miniworld("pair_classification", rows=3), format="pair_classification", head="classification", labels=NLI
    )
    with pytest.raises(UserError, match="no classification head for the task 't'"):
        evaluate_classification({**FACTS, "labels": NLI}, {"model": base, **inputs}, make_context(tmp_path / "a"))
    with pytest.raises(UserError, match=r"nli \(classification\)"):
        evaluate_classification(
            {**FACTS, "labels": ["0", "1"]}, {"model": model, **inputs}, make_context(tmp_path / "b")
        )


def test_a_table_that_the_encoding_was_not_made_from_is_refused(model, miniworld, make_inputs, make_context, tmp_path):
    encoded = make_inputs(
        miniworld("pair_classification", rows=6), format="pair_classification", head="classification", labels=NLI
    )
    other = make_inputs(
        miniworld("pair_classification", rows=3), format="pair_classification", head="classification", labels=NLI
    )
    inputs = {"model": model, "encoded": encoded["encoded"], "table": other["table"]}
    with pytest.raises(UserError, match="3 encoded examples are not in the table"):
        evaluate_classification({**FACTS, "labels": NLI}, inputs, make_context(tmp_path / "out"))
