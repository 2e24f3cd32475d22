"""Translate-test: tests translated into the language of training, their gold kept."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.wiring.small_studies import small
from xtreme_dag.core.errors import UserError
from xtreme_dag.data.derive.translate_model import open_translator
from xtreme_dag.wiring.build import build
from xtreme_dag.wiring.supervision import by_condition

ALL = ["en", "qaa", "qac", "qag"]


def translated(by, **more):
    return small({"none": None, "tt": {"test_translated": by}}, **{"languages": ALL, **more})


def test_the_lexicon_translates_tests_and_keeps_gold_ids_and_language(bench):
    study = translated("lexicon", targets=["xnli", "xcopa"])
    bench.run(study, "evaluate")
    for code in ALL[1:]:
        made = bench.rows(f"translate[xnli | {code} | test | lexicon into en]")
        original = bench.rows(f"prepare[xnli | {code} | test]")
        for name in ("id", "language", "split", "label"):
            assert [row[name] for row in made] == [row[name] for row in original]
        assert json.loads((bench.artifact(f"translate[xnli | {code} | test | lexicon into en]") / "translation.json").read_text())["unknown_words"] == 0  # fmt: skip
        predictions = pq.read_table(bench.artifact(f"evaluate[xnli | {code} | tt | seed 1]") / "predictions.parquet")
        assert predictions["gold"].to_pylist() == [row["label"] for row in original]
        assert set(predictions["language"].to_pylist()) == {code}
    # Ardish has English grammar: word by word it is English to the letter, so the scores are those of English.
    english, ardish = (
        bench.rows("prepare[xnli | en | test]"),
        bench.rows("translate[xnli | qaa | test | lexicon into en]"),
    )
    assert [(row["text_a"], row["text_b"]) for row in ardish] == [(row["text_a"], row["text_b"]) for row in english]
    scores = [json.loads((bench.artifact(f"evaluate[xnli | {code} | tt | seed 1]") / "scores.json").read_text())["metrics"]
              for code in ("en", "qaa")]  # fmt: skip
    assert scores[0] == scores[1]


def test_models_and_english_are_shared_with_zero_shot_and_the_original_is_audited():
    graph = build(translated("lexicon")).graph
    one, two = (graph[f"evaluate[xnli | en | {name} | seed 1]"] for name in ("none", "tt"))
    assert one.inputs["encoded"] == two.inputs["encoded"]
    tested = {
        (each["dataset"], each["language"], each["split"])
        for each in graph["audit[mnli | en | train]"].params["tested"]
    }
    assert {("xnli", code, "test") for code in ALL} <= tested
    assert "translate[xnli | qaa | test | lexicon into en]" not in graph.ancestors({"audit[mnli | en | train]"})
    found = by_condition(graph)
    assert found["tt"] == found["none"]


def test_a_sequence_to_sequence_model_translates_tests(bench, tiny_translator):
    models = {code: {"folder": str(tiny_translator)} for code in ALL[1:]}
    bench.run(translated({"by": "model", "models": models, "max_length": 6}, languages=["en", "qaa"]), "evaluate")
    made, original = (
        bench.rows("translate[xnli | qaa | test | model into en]"),
        bench.rows("prepare[xnli | qaa | test]"),
    )
    assert [(row["id"], row["label"]) for row in made] == [(row["id"], row["label"]) for row in original]
    assert all(row["text_a"] != before["text_a"] for row, before in zip(made, original, strict=True))
    report = json.loads(
        (bench.artifact("translate[xnli | qaa | test | model into en]") / "translation.json").read_text()
    )
    texts = {row[name] for row in original for name in ("text_a", "text_b")}
    # A word that the model does not know is a piece, and `</s>` ends a text.
    assert report["texts_cut"] == sum(len(text.split()) + 1 > 6 for text in texts) > 0
    sides = [
        (row[name], before[name]) for row, before in zip(made, original, strict=True) for name in ("text_a", "text_b")
    ]
    assert report["translations_empty"] == len({before for after, before in sides if not after})
    assert report["translations_cut"] > 0  # random weights seldom end a text


@pytest.mark.parametrize(
    ("task", "reason"),
    [("xquad", "pieces of the original text"), ("udpos", "tags belong to the words"), ("tatoeba", "representations")],
)
def test_what_cannot_be_scored_on_a_translation_is_refused(task, reason):
    with pytest.raises(UserError, match=reason) as caught:
        build(translated("lexicon", targets=[task]))
    able = caught.value.fix.rpartition("translate-test is for ")[2].split(", ")
    assert sorted(able) == ["dialogue_state", "multiple_choice", "pair_classification"]


def test_cuts_are_counted_of_models_that_end_at_the_limit_too(tiny_translator, tmp_path):
    folder = Path(shutil.copytree(tiny_translator, tmp_path / "model"))
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "forced_eos_token_id": 1}))
    counts = []
    for where in (tiny_translator, folder):
        odd: Counter[str] = Counter()
        open_translator(where, beams=1, max_length=6, code=None, device="cpu", log=print, odd=odd)(["a b c", "d e"])
        counts.append(odd["translations_cut"])
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("missing", ["en", "qac"])
def test_a_language_without_a_code_is_named(tiny_translator, missing):
    codes = {code: "deu" for code in ALL if code != missing}
    by = {"by": "model", "model": {"folder": str(tiny_translator)}, "codes": codes}
    with pytest.raises(UserError, match=f"codes has no '{missing}'"):
        build(translated(by))


def test_a_language_without_a_model_is_named(tiny_translator):
    by = {"by": "model", "models": {"qaa": {"folder": str(tiny_translator)}}}
    with pytest.raises(UserError, match="no model translates 'qac'"):
        build(translated(by))


def test_a_test_is_translated_whole():
    with pytest.raises(UserError, match="no `rows`"):
        translated({"by": "lexicon", "rows": 5})


def test_the_lexicon_is_for_the_miniworld(shared):
    with pytest.raises(UserError, match="miniworld's words alone"):
        build(translated("lexicon", languages=["en", "de"], data={"folder": str(shared / "data"), "contracts": False}))
