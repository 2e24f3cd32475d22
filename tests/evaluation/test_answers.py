"""Question answering from logits to scores, against a search over every span of every window."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from xtreme_dag.core.errors import UserError
from xtreme_dag.evaluation.qa import evaluate_span_mlqa, evaluate_span_squad, evaluate_span_squad_v2
from xtreme_dag.heads import HeadSpec
from xtreme_dag.scoring.squad import statistics
from xtreme_dag.tables.encoded import open_encoded

FACTS = {"task": "qa", "dataset": "d", "language": "en", "split": "test", "recipe": {}}


@pytest.fixture(scope="module")
def model(make_model):
    return make_model(qa=HeadSpec(kind="span"))


@pytest.fixture(scope="module")
def scores_of(model):
    """Start and end scores of one window by transformers itself."""
    from safetensors.torch import load_file
    from transformers import AutoModel

    encoder = AutoModel.from_pretrained(model / "encoder", add_pooling_layer=False).eval()
    weights = load_file(model / "heads.safetensors")

    def scores(ids):
        with torch.no_grad():
            hidden = encoder(torch.tensor([ids])).last_hidden_state[0]
        return (hidden @ weights["qa.out.weight"].T + weights["qa.out.bias"]).numpy()

    return scores


def every_answer(scores_of, encoded, contexts, longest=30):
    """All answers of each example as {(start, end): score}, and its null score."""
    answers, null = [{} for _ in contexts], [np.inf] * len(contexts)
    for sequence in encoded.sequences.to_pylist():
        example, scores = sequence["example"], scores_of(sequence["input_ids"])
        places = np.array(sequence["offsets"]).reshape(-1, 2)
        null[example] = min(null[example], float(scores[0, 0] + scores[0, 1]))
        for i, (first, _) in enumerate(places):
            for j in range(i, min(i + longest, len(places))):
                start, end = int(first), int(places[j, 1])
                if first >= 0 and places[j, 0] >= 0 and contexts[example][start:end].strip():
                    score = float(scores[i, 0] + scores[j, 1])
                    key = (start, end)
                    answers[example][key] = max(score, answers[example].get(key, -np.inf))
    return answers, null


@pytest.mark.parametrize("language", ["en", "qab"])
def test_the_answer_is_the_best_span_of_all_windows(
    model, scores_of, miniworld, make_inputs, make_context, same_outcome, tmp_path, language
):
    rows = miniworld("span_qa", language, rows=30)
    inputs = {
        "model": model,
        **make_inputs(rows, format="span_qa", head="span", max_length=22, query_length=9, doc_stride=4),
    }
    encoded = open_encoded(inputs["encoded"])
    assert len(encoded.lengths) > 1.5 * len(encoded)
    for batch_tokens in (300, 1, 100_000):
        context = make_context(tmp_path / str(batch_tokens), batch_tokens=batch_tokens)
        evaluate_span_squad({**FACTS, "language": language, "recipe": {"save_n_best": True}}, inputs, context)
        same_outcome(tmp_path / "300", context.out)
    assert len(list(context.out.iterdir())) == 3

    table = pq.read_table(tmp_path / "300" / "predictions.parquet")
    listed = pq.read_table(tmp_path / "300" / "n_best.parquet").to_pylist()
    contexts = rows["context"].to_pylist()
    answers, null = every_answer(scores_of, encoded, contexts)
    for row, context in enumerate(contexts):
        start, end, text = (table[name][row].as_py() for name in ("start", "end", "prediction"))
        assert context[start:end] == text != ""
        best = max(answers[row].values())
        assert answers[row][start, end] == pytest.approx(best, abs=1e-4)
        assert table["no_answer_margin"][row].as_py() == pytest.approx(null[row] - best, abs=1e-3)
        mine = [entry for entry in listed if entry["id"] == table["id"][row].as_py()]
        assert [entry["rank"] for entry in mine] == list(range(1, len(mine) + 1))
        expected = sorted(answers[row].values(), reverse=True)[: len(mine)]
        np.testing.assert_allclose([entry["score"] for entry in mine], expected, atol=1e-3)
        assert all(context[entry["start"] : entry["end"]] == entry["text"] for entry in mine)
    golds = [[answer["text"] for answer in answer_list] for answer_list in rows["answers"].to_pylist()]
    assert [json.loads(text) for text in table["gold"].to_pylist()] == golds
    right = statistics(golds, table["prediction"].to_pylist())
    np.testing.assert_array_equal(table["s_f1"].to_numpy(), right["s_f1"])
    scores = json.loads((tmp_path / "300" / "scores.json").read_text())
    assert scores["metrics"]["em_f1_mean"] == pytest.approx(50 * (right["s_em"].mean() + right["s_f1"].mean()))


def test_scores_say_how_many_questions_of_how_many_were_counted(model, miniworld, make_inputs, make_context, tmp_path):
    rows = miniworld("span_qa", rows=20, unanswerable=0.4)
    inputs = {"model": model, **make_inputs(rows, format="span_qa", head="span")}
    context = make_context(tmp_path / "out")
    evaluate_span_squad({**FACTS, "language": "en", "recipe": {}}, inputs, context)
    scores = json.loads((context.out / "scores.json").read_text())
    golds = pq.read_table(context.out / "predictions.parquet")["gold"].to_pylist()
    answered = sum(rows["answerable"].to_pylist())
    assert (scores["n"], scores["of"]) == (answered, 20) and 0 < answered < 20
    assert sum(gold is not None for gold in golds) == answered


def test_no_answer_wins_from_the_threshold_on(model, miniworld, make_inputs, make_context, tmp_path):
    rows = miniworld("span_qa", rows=60, unanswerable=0.4)
    inputs = {"model": model, **make_inputs(rows, format="span_qa", head="span")}
    tables = {}
    for threshold in (-1000.0, 0.0, 1000.0):
        context = make_context(tmp_path / str(threshold))
        evaluate_span_squad_v2({**FACTS, "recipe": {"null_threshold": threshold}}, inputs, context)
        tables[threshold] = pq.read_table(context.out / "predictions.parquet")
    assert set(tables[-1000.0]["prediction"].to_pylist()) == {""}
    assert "" not in tables[1000.0]["prediction"].to_pylist()
    margin = tables[0.0]["no_answer_margin"].to_numpy()
    given = [text != "" for text in tables[0.0]["prediction"].to_pylist()]
    assert given == (margin <= 0).tolist()
    assert tables[0.0]["start"].is_null().to_pylist() == [not answer for answer in given]
    scores = json.loads((tmp_path / "-1000.0" / "scores.json").read_text())
    answerable = np.array(rows["answerable"].to_pylist())
    assert scores["metrics"]["exact_match"] == pytest.approx(100 * (1 - answerable.mean()))
    assert scores["metrics"]["no_answer_accuracy"] == 100.0 and scores["metrics"]["has_answer_f1"] == 0.0


def test_mlqa_scores_by_the_rules_of_its_language_and_knows_seven(
    model, miniworld, make_inputs, make_context, tmp_path
):
    inputs = {"model": model, **make_inputs(miniworld("span_qa", rows=10), format="span_qa", head="span")}
    context = make_context(tmp_path / "en")
    evaluate_span_mlqa(FACTS, inputs, context)
    assert json.loads((context.out / "scores.json").read_text())["n"] == 10
    with pytest.raises(UserError, match="no rules for the language 'fr'"):
        evaluate_span_mlqa({**FACTS, "language": "fr"}, inputs, make_context(tmp_path / "fr"))
