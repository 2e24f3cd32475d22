"""Exported models, loaded by transformers alone, give the product's own predictions on 300 examples of each head."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from tests.evaluation.conftest import base, make_context, make_inputs, make_model, miniworld  # noqa: F401
from xtreme_dag.core.errors import UserError
from xtreme_dag.evaluation.classification import evaluate_classification
from xtreme_dag.evaluation.multiple_choice import evaluate_multiple_choice
from xtreme_dag.evaluation.qa import evaluate_span_squad
from xtreme_dag.evaluation.tagging import evaluate_tagging
from xtreme_dag.heads import HEADS, HeadSpec, export_of
from xtreme_dag.heads.export import export_model
from xtreme_dag.heads.trained import TrainedModel, load_model, save_model
from xtreme_dag.model import pack
from xtreme_dag.model.folder import new_encoder
from xtreme_dag.model.layers import initialise
from xtreme_dag.tables.encoded import open_encoded

ROWS = 300
NLI = ("contradiction", "entailment", "neutral")
FACTS = {"task": "t", "dataset": "d", "language": "en", "split": "test", "recipe": {}}


@pytest.fixture(scope="module")
def tags(miniworld):  # noqa: F811
    return tuple(sorted({tag for row in miniworld("tagging", rows=ROWS)["tags"].to_pylist() for tag in row}))


@pytest.fixture(scope="module")
def model(make_model, tags):  # noqa: F811
    return make_model(
        nli=HeadSpec(kind="classification", labels=NLI),
        choose=HeadSpec(kind="multiple_choice"),
        pos=HeadSpec(kind="tagging", labels=tags),
        answer=HeadSpec(kind="span"),
        text=HeadSpec(kind="mlm"),
        twin=HeadSpec(kind="dual"),
    )


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    """Name of a head -> (folder, what was written)."""
    root = tmp_path_factory.mktemp("exported")
    return {name: (root / name, export_model(model, root / name, head=name)) for name in load_model(model).specs}


def run(code: str, folder: Path) -> dict:
    """Runs the lines that a model card shows."""
    names = {"folder": str(folder)}
    exec(code, names)
    return names


def predictions(folder: Path):
    return pq.read_table(folder / "predictions.parquet").to_pylist()


def test_every_head_that_is_trained_says_how_it_leaves():
    for head in HEADS.values():
        assert head.training is None or export_of(head.name) is not None


def test_classes_are_the_right_ones(exported):
    assert {name: made.class_name for name, (_, made) in exported.items()} == {
        "nli": "AutoModelForSequenceClassification", "choose": "AutoModelForMultipleChoice",
        "pos": "AutoModelForTokenClassification", "answer": "AutoModelForQuestionAnswering",
        "text": "AutoModelForMaskedLM", "twin": "AutoModel",
    }  # fmt: skip


def test_pipeline_classifies_as_the_evaluation_does(exported, model, miniworld, make_inputs, make_context, tmp_path):  # noqa: F811
    from transformers import pipeline

    rows = miniworld("pair_classification", rows=ROWS)
    inputs = {"model": model, **make_inputs(rows, format="pair_classification", head="classification", labels=NLI)}
    evaluate_classification({**FACTS, "labels": NLI}, inputs, make_context(tmp_path))
    pipe = pipeline("text-classification", model=str(exported["nli"][0]))
    given = pipe([{"text": row["text_a"], "text_pair": row["text_b"]} for row in rows.to_pylist()], truncation=True)
    ours = predictions(tmp_path)
    assert len(ours) == rows.num_rows and [one["label"] for one in given] == [row["prediction"] for row in ours]
    np.testing.assert_allclose([one["score"] for one in given], [row["score"] for row in ours], atol=6e-5)


def test_pipeline_tags_as_the_evaluation_does(exported, model, tags, miniworld, make_inputs, make_context, tmp_path):  # noqa: F811
    from transformers import pipeline

    rows = miniworld("tagging", rows=ROWS)
    inputs = {"model": model, **make_inputs(rows, format="tagging", head="tagging", labels=tags)}
    evaluate_tagging({**FACTS, "labels": tags}, inputs, make_context(tmp_path))
    pipe = pipeline("token-classification", model=str(exported["pos"][0]), ignore_labels=[])
    for row, ours in zip(rows.to_pylist(), predictions(tmp_path), strict=True):
        (given,) = pipe([row["words"]], is_split_into_words=True)
        starts = {0, *np.cumsum([len(word) + 1 for word in row["words"]])[:-1].tolist()}
        # SentencePiece can cut a word's mark off as a piece of its own, which starts where the word does
        at: dict[int, dict] = {}
        for piece in given:
            at.setdefault(piece["start"], piece)
        first = [piece for start, piece in at.items() if start in starts]
        assert [piece["entity"] for piece in first] == ours["prediction"].split()
        assert abs(np.mean([piece["score"] for piece in first]) - ours["score"]) < 6e-5


def test_choices_are_those_of_the_evaluation(exported, model, miniworld, make_inputs, make_context, tmp_path):  # noqa: F811
    rows = miniworld("multiple_choice", rows=ROWS)
    inputs = {"model": model, **make_inputs(rows, format="multiple_choice", head="multiple_choice")}
    evaluate_multiple_choice(FACTS, inputs, make_context(tmp_path))
    names = run(exported["choose"][1].usage, exported["choose"][0])
    for row, ours in zip(rows.to_pylist(), predictions(tmp_path), strict=True):
        prompt = " ".join(part for part in (row["context"], row["question"]) if part)
        coded = names["tokenizer"]([prompt] * len(row["choices"]), row["choices"], padding=True, return_tensors="pt")
        with torch.no_grad():
            shares = names["model"](**{name: value[None] for name, value in coded.items()}).logits.softmax(-1)[0]
        assert str(int(shares.argmax())) == ours["prediction"]
        assert abs(float(shares.max()) - ours["score"]) < 6e-5


def test_answers_are_those_of_the_evaluation(exported, model, miniworld, make_inputs, make_context, tmp_path):  # noqa: F811
    rows = miniworld("span_qa", rows=ROWS)
    inputs = {"model": model, **make_inputs(rows, format="span_qa", head="span")}
    evaluate_span_squad({**FACTS, "recipe": {"save_n_best": True}}, inputs, make_context(tmp_path))
    windows = np.diff(open_encoded(inputs["encoded"]).first_sequence)
    best = {
        row["id"]: row["score"] for row in pq.read_table(tmp_path / "n_best.parquet").to_pylist() if row["rank"] == 1
    }
    lines = exported["answer"][1].usage.splitlines()
    loading = "\n".join(line for line in lines[:5])
    using = compile("\n".join(line for line in lines[5:] if not line.startswith("question, context")).replace(
        "print(", "answer = ("), "usage", "exec")  # fmt: skip
    names = run(loading, exported["answer"][0])
    compared = 0
    for row, ours, count in zip(rows.to_pylist(), predictions(tmp_path), windows.tolist(), strict=True):
        if count == 1:
            names |= {"question": row["question"], "context": row["context"]}
            exec(using, names)
            assert names["answer"] == ours["prediction"]
            assert abs(float(names["spans"][names["start"], names["end"]]) - best[row["id"]]) < 1e-3
            compared += 1
    assert compared > 0.9 * rows.num_rows


def test_pipeline_fills_masks_as_the_head_does(exported, model, miniworld):  # noqa: F811
    from transformers import AutoTokenizer, pipeline

    folder = exported["text"][0]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    pipe = pipeline("fill-mask", model=str(folder), tokenizer=tokenizer, top_k=1)
    ours = load_model(model)
    for row in miniworld("plain_text", rows=ROWS)["text"].to_pylist():
        words = row.split()
        text = " ".join([*words[: len(words) // 2], tokenizer.mask_token, *words[len(words) // 2 + 1 :]])
        ids = np.array(tokenizer(text, truncation=True)["input_ids"], np.int32)
        (at,) = (ids == tokenizer.mask_token_id).nonzero()
        with torch.inference_mode():
            share = ours.scores("text", pack([ids]), torch.from_numpy(at)).softmax(-1)[0]
        (given,) = pipe(text)
        assert given["token"] == int(share.argmax()) and abs(given["score"] - float(share.max())) < 1e-5


def test_a_head_that_transformers_lacks_is_a_line_of_python(exported, model):
    folder, made = exported["twin"]
    names = run(made.usage, folder)
    ours = load_model(model)
    for row, text in enumerate(["a text", "another, longer text"]):
        ids = np.array(names["tokenizer"](text)["input_ids"], np.int32)
        with torch.inference_mode():
            wanted = ours.scores("twin", pack([ids]))
        torch.testing.assert_close(names["scores"][row : row + 1], wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["bert", "electra", "rembert", "deberta-v2"])
@pytest.mark.parametrize("head", ["classification", "mlm"])
def test_other_architectures_keep_their_scores(kind, head, base, tmp_path):  # noqa: F811
    """As the class where it computes the same, as a line of Python where its head has another activation."""
    from transformers import AutoConfig

    config = AutoConfig.for_model(
        kind, vocab_size=load_model(base).encoder.word_embeddings().shape[0], hidden_size=32, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=64, max_position_embeddings=130, pad_token_id=1, embedding_size=32,
        **({"input_embedding_size": 32, "output_embedding_size": 48} if kind == "rembert" else {}),
    )  # fmt: skip
    original = TrainedModel(new_encoder(config, 1), {})
    spec = HeadSpec(kind=head, labels=NLI if head == "classification" else ())
    initialise(original.add_head("it", spec), 0.3, 1)
    save_model(original, tmp_path / "model", tokenizer_from=base)
    made = export_model(tmp_path / "model", tmp_path / "out")
    both = ("SequenceClassification", "MaskedLM")
    wanted = {"bert": both, "rembert": both}.get(kind, ("", "MaskedLM"))
    name = wanted[0 if head == "classification" else 1]
    assert made.class_name == (f"AutoModelFor{name}" if name else "AutoModel")
    names = run(made.usage, tmp_path / "out")
    if not name:
        ids = names["inputs"]["input_ids"][1].numpy().astype(np.int32)
        with torch.inference_mode():
            scores = load_model(tmp_path / "model").eval().scores("it", pack([ids]))
        torch.testing.assert_close(
            names["scores"][1], scores[0] if head == "classification" else scores, atol=1e-4, rtol=0
        )


def test_files_are_for_everybody_that_the_umask_lets(exported):
    for folder, _ in exported.values():
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o644, path


def test_what_is_wrong_is_said_and_nothing_is_left(model, tmp_path):
    with pytest.raises(UserError, match="6 heads"):
        export_model(model, tmp_path / "out")
    with pytest.raises(UserError, match="no head 'nil'"):
        export_model(model, tmp_path / "out", head="nil")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("kept")
    with pytest.raises(UserError, match="is there already"):
        export_model(model, tmp_path / "full", head="nli")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full"]
