"""Retrieval from a multilingual pool: one search for all languages, scores per language."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from tests.scoring import lareqa
from xtreme_dag.core.errors import UserError
from xtreme_dag.evaluation import pooled
from xtreme_dag.evaluation.embeddings import embed, special_ids
from xtreme_dag.evaluation.engine import Settings, cached_model, sequences_of
from xtreme_dag.evaluation.pooled import rank_pool
from xtreme_dag.evaluation.ranking import evaluate_lareqa, evaluate_mewslix
from xtreme_dag.heads import HeadSpec
from xtreme_dag.tables.canonical import read_table
from xtreme_dag.tables.encoded import open_encoded

LANGUAGES = ("en", "qaa", "qad")
FACTS = {"task": "t", "dataset": "d", "split": "test", "recipe": {}}


@pytest.fixture(scope="module")
def model(make_model):
    return make_model(t=HeadSpec(kind="dual"))


def tables(kind, miniworld, make_inputs, rows=80):
    found = {}
    for language in LANGUAGES:
        made = make_inputs(miniworld(kind, language, rows=rows), format=kind, head="embedding", query_length=64)
        found |= {f"{name}:{language}": path for name, path in made.items()}
    return found


@pytest.fixture(scope="module")
def answers(miniworld, make_inputs):
    return tables("qa_retrieval", miniworld, make_inputs)


@pytest.fixture(scope="module")
def ranked(model, answers, make_context, tmp_path_factory):
    context = make_context(tmp_path_factory.mktemp("ranked"), batch_tokens=700)
    rank_pool(FACTS, {"model": model, **answers}, context)
    return context.out


def vectors(model, inputs, language):
    """Rows and dual vectors of one language's table."""
    encoded = open_encoded(inputs[f"encoded:{language}"])
    settings = Settings(device=torch.device("cpu"), batch_tokens=300)
    loaded = cached_model(model, settings.device)
    values = embed(
        sequences_of([encoded]), special_ids(encoded), loaded, settings, task="t", recipe={"pooling": "dual"}
    )
    values = values.astype(np.float64)
    return read_table(inputs[f"table:{language}"]).to_pylist(), values / np.linalg.norm(values, axis=1, keepdims=True)


def place(name):
    """A candidate's name without its language, which is the same for the right candidates of all languages."""
    return name.partition(":")[2]


def test_lareqa_equals_the_scorer_over_the_whole_pool(model, answers, ranked, make_context, tmp_path):
    questions, candidates, gold, names = [], [], [], []
    for language in LANGUAGES:
        rows, values = vectors(model, answers, language)
        for row, value in zip(rows, values, strict=True):
            if row["side"] == "question":
                questions.append(value)
                gold.append(place(row["gold"][0]))
            else:
                candidates.append(value)
                names.append(place(row["id"]))
    right = [[at for at, name in enumerate(names) if name == wanted] for wanted in gold]
    assert all(len(rows) == len(LANGUAGES) for rows in right)
    expected = lareqa.statistics(np.stack(questions), np.stack(candidates), right)
    found = []
    for language in LANGUAGES:
        context = make_context(tmp_path / language)
        evaluate_lareqa({**FACTS, "language": language}, {"ranked": ranked}, context)
        table = pq.read_table(context.out / "predictions.parquet")
        assert set(table["language"].to_pylist()) == {language}
        found.append(table)
        scores = json.loads((context.out / "scores.json").read_text())
        assert scores["metrics"]["map@20"] == pytest.approx(100 * np.mean(table["s_ap"].to_numpy()))
        assert scores["primary"] == "map@20" and scores["n"] == 40
    for name in ("s_ap", "s_rr", "s_correct", "s_ap_full"):
        joined = np.concatenate([table[name].to_numpy() for table in found])
        np.testing.assert_allclose(joined, expected[name], atol=1e-9)


def test_language_bias_is_told_apart(model, answers, ranked, make_context, tmp_path):
    pool = [
        (language, row, value)
        for language in LANGUAGES
        for row, value in zip(*vectors(model, answers, language), strict=True)
    ]
    context = make_context(tmp_path / "qaa")
    evaluate_lareqa({**FACTS, "language": "qaa"}, {"ranked": ranked}, context)
    table = pq.read_table(context.out / "predictions.parquet")
    asked = [(row, value) for language, row, value in pool if language == "qaa" and row["side"] == "question"]
    for at, (row, value) in enumerate(asked):
        order = sorted(
            (
                (-float(value @ other), language, candidate["id"])
                for language, candidate, other in pool
                if candidate["side"] == "candidate"
            ),
        )
        home = [name for _, language, name in order if language == "qaa"]
        rank = home.index(row["gold"][0]) + 1
        assert table["s_ap_mono"][at].as_py() == pytest.approx(1 / rank if rank <= 20 else 0.0)
        abroad = [name for _, language, name in order if language != "qaa"][:20]
        hits = [rank for rank, name in enumerate(abroad, 1) if place(name) == place(row["gold"][0])]
        expected = sum(number / rank for number, rank in enumerate(hits, 1)) / 2
        assert table["s_ap_cross"][at].as_py() == pytest.approx(expected)
        share = np.mean([language == "qaa" for _, language, _ in order[:20]])
        assert table["s_own_language"][at].as_py() == pytest.approx(share)


def test_mewslix_is_the_same_streamed_in_small_blocks(
    model, miniworld, make_inputs, make_context, tmp_path, monkeypatch
):
    inputs = {"model": model, **tables("entity_linking", miniworld, make_inputs, rows=60)}
    kept, streamed = make_context(tmp_path / "kept"), make_context(tmp_path / "streamed")
    rank_pool(FACTS, inputs, kept)
    monkeypatch.setattr(pooled, "BLOCK", 7)
    monkeypatch.setattr(pooled, "RANKED_POOL", 10)
    rank_pool(FACTS, inputs, streamed)
    whole, small = (pq.read_table(context.out / "ranked.parquet") for context in (kept, streamed))
    assert "right_ranks" in whole.column_names and "right_ranks" not in small.column_names
    for name in small.column_names:
        assert small[name].to_pylist() == whole[name].to_pylist()
    out = make_context(tmp_path / "en")
    evaluate_mewslix({**FACTS, "language": "en"}, {"ranked": streamed.out}, out)
    table = pq.read_table(out.out / "predictions.parquet").to_pylist()
    for row in table:
        names = row["prediction"].split()
        rank = names.index(row["gold"]) + 1 if row["gold"] in names else 0
        assert row["s_rr"] == pytest.approx(1 / rank if rank else 0.0)
    scores = json.loads((out.out / "scores.json").read_text())
    assert scores["metrics"]["mrr@20"] == pytest.approx(100 * np.mean([row["s_rr"] for row in table]))
    with pytest.raises(UserError, match="too large for the ranks"):
        evaluate_lareqa({**FACTS, "language": "en"}, {"ranked": streamed.out}, make_context(tmp_path / "no"))


def test_candidates_that_stand_in_every_table_count_once(model, miniworld, make_inputs, make_context, tmp_path):
    inputs = tables("entity_linking", miniworld, make_inputs, rows=40)
    same = {name.replace("qaa", "en2"): path for name, path in inputs.items() if name.endswith(":qaa")}
    same |= {name: path for name, path in inputs.items() if name.endswith(":qaa")}
    figures = rank_pool(FACTS, {"model": model, **same}, make_context(tmp_path / "out"))
    assert figures == {"queries": 40, "candidates": 20}


def test_a_language_without_queries_and_an_empty_pool_are_errors(model, ranked, make_context, tmp_path):
    with pytest.raises(UserError, match="no queries in 'xx'"):
        evaluate_lareqa({**FACTS, "language": "xx"}, {"ranked": ranked}, make_context(tmp_path / "a"))
    with pytest.raises(UserError, match="no queries or no candidates"):
        rank_pool(FACTS, {"model": model}, make_context(tmp_path / "b"))
