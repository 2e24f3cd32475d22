"""Degenerate models are seen: each signal at its bound, in the database, and in what is said of a comparison."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xtreme_dag.core.home import Home
from xtreme_dag.results.compare import compare_conditions
from xtreme_dag.results.landing import land
from xtreme_dag.results.query import reader
from xtreme_dag.results.signals import CHANCE, CONSTANT, CUT, FLAT, NEVER, UNREAD, signals_of
from xtreme_dag.results.warnings import line, warnings_of


def names(folder):
    return [one.name for one in signals_of(folder)]


def evaluation(folder, gold, predictions, **columns):
    """An evaluation's folder; right where both are equal unless columns say so."""
    folder.mkdir(exist_ok=True)
    right = [float(a == b) for a, b in zip(gold, predictions, strict=True)]
    table = {"gold": gold, "prediction": predictions, **(columns or {"s_correct": right})}
    pq.write_table(pa.table(table), folder / "predictions.parquet")
    return folder


LABELS = ["contradiction", "entailment", "neutral"]


@pytest.mark.parametrize(
    ("right", "found"),
    [(100, [CHANCE]), (113, [CHANCE]), (114, []), (300, [])],  # 1/3 + 1.645 * sqrt(2/9 / 300) = 37.8 %: 113 of 300
)
def test_chance_is_what_the_most_frequent_answer_gets(tmp_path, right, found):
    gold = LABELS * 100
    predictions = [label if place < right else LABELS[place % 3 - 1] for place, label in enumerate(gold)]
    assert names(evaluation(tmp_path / "e", gold, predictions)) == found


def test_an_unbalanced_task_is_held_against_its_largest_label(tmp_path):
    gold = ["0"] * 270 + ["1"] * 30
    predictions = ["0"] * 260 + ["1"] * 20 + ["0"] * 20  # 90 % right, as is always "0"
    assert names(evaluation(tmp_path / "e", gold, predictions)) == [CHANCE]


def test_one_answer_and_a_label_that_is_never_given(tmp_path):
    gold = LABELS * 40
    assert names(evaluation(tmp_path / "one", gold, ["neutral"] * 120)) == [CONSTANT, CHANCE]
    two = ["entailment" if label == "contradiction" else label for label in gold]
    (signal,) = signals_of(evaluation(tmp_path / "two", gold, two))
    assert signal.name == NEVER and "'contradiction', 33% of the gold answers" in signal.message
    rare = ["neutral"] * 100 + ["entailment"] * 100 + ["contradiction"] * 10
    assert names(evaluation(tmp_path / "rare", rare, rare[:200] + ["neutral"] * 10)) == [], "under 5 %"
    few = LABELS * 6
    assert names(evaluation(tmp_path / "few", few, [x.replace("contradiction", "neutral") for x in few])) == []


def test_words_of_a_tagger_count_one_by_one(tmp_path):
    gold, right = ["NOUN VERB NOUN DET"] * 30, {"s_tokens": [4.0] * 30}
    first = evaluation(tmp_path / "a", gold, ["NOUN NOUN NOUN NOUN"] * 30, s_tokens_correct=[2.0] * 30, **right)
    assert names(first) == [CONSTANT, CHANCE]
    second = evaluation(
        tmp_path / "b", gold, ["NOUN VERB NOUN VERB", "VERB NOUN NOUN NOUN"] * 15,
        s_tokens_correct=[3.0, 2.0] * 15, **right,
    )  # fmt: skip
    assert names(second) == [NEVER], "DET"


def test_what_has_no_chance_level_is_not_held_against_one(tmp_path):
    assert names(evaluation(tmp_path / "qa", ["x"] * 20, list("abcdefghijklmnopqrst"), s_f1=[0.0] * 20)) == []
    assert names(evaluation(tmp_path / "empty", ["x", "y"] * 20, [""] * 40, s_f1=[0.0] * 40)) == [CONSTANT]
    ids = [f"s{number}" for number in range(200)]
    assert names(evaluation(tmp_path / "hard", ids, ids[1:] + ids[:1])) == [CHANCE], "retrieval that finds nothing"
    assert names(evaluation(tmp_path / "found", ids, ids[:20] + ids[21:] + ids[20:21])) == []
    assert names(evaluation(tmp_path / "blank", ["entailment"] * 99, ["neutral", "entailment", "x"] * 33)) == [], (
        "blanked"
    )


@pytest.mark.parametrize(
    ("last", "more", "found"),
    [
        (1.0, {}, [FLAT]),
        (0.985, {}, [FLAT]),
        (0.97, {}, []),
        (1.0, {"control": "shuffled_labels"}, []),
        (1.0, {"steps_done": 19}, []),
        (float("nan"), {}, [FLAT]),
    ],
)
def test_a_loss_that_does_not_fall(tmp_path, last, more, found):
    curve = [1.0] * 20 + list(np.linspace(1.0, last, 60)) + [last] * 20
    (tmp_path / "training.json").write_text(json.dumps({"loss_curve": curve, "steps_done": 100, **more}))
    assert names(tmp_path) == found


def test_a_loss_with_little_left_to_fall_may_stay(tmp_path):
    (tmp_path / "training.json").write_text(json.dumps({"loss_curve": [0.05] * 50, "steps_done": 50}))
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("info", "found"),
    [
        ({"unknown_share": 0.06}, [UNREAD]),
        ({"unknown_share": 0.05}, []),
        ({"truncated": 11}, [CUT]),
        ({"truncated": 10}, []),
    ],
)
def test_texts_that_are_not_read(tmp_path, info, found):
    (tmp_path / "encode.json").write_text(json.dumps({"unknown_share": 0.0, "truncated": 0, "sequences": 100, **info}))
    assert names(tmp_path) == found


def test_a_warning_reaches_all_that_depends_on_its_stage(make, home):
    from dataclasses import replace

    from xtreme_dag.results.signals import Signal

    made = make(conditions={"none": 0.5, "mixed": 0.5}, seeds=(1, 2), tasks={"xnli": "accuracy", "udpos": "tagging"})
    signal = Signal(name=FLAT, message="the loss is 1 and 1", value=1.0, bound=0.98)
    made.stages[:] = [
        replace(one, warnings=(signal,)) if one.name.startswith("target[demo/mixed/xnli/") else one
        for one in made.stages
    ]
    land(Home(home), *made.arguments)
    with reader(Home(home)) as connection:
        assert connection.execute("SELECT count(*) FROM stage_warnings").fetchone() == (2,)
        cells = connection.execute(
            "SELECT condition, task, count(DISTINCT language), count(*) FROM evaluation_warnings GROUP BY ALL"
        ).fetchall()
        assert cells == [("mixed", "xnli", 3, 3 * 2 * 2)]
    (row,) = warnings_of(Home(home), "demo")
    assert line(row) == "mixed on xnli: loss does not fall in 3 of 3 languages (the loss is 1 and 1)"
    (one,) = compare_conditions(Home(home), tasks=["xnli"], resamples=100)
    assert one.overall.degenerate == (("condition", FLAT),)
    assert "this is no null result, since the loss does not fall with mixed" in one.sentence
    assert "warning: mixed on xnli: loss does not fall in 3 of 3 languages" in one.notes
    (one,) = compare_conditions(Home(home), tasks=["udpos"], resamples=100)
    assert not one.overall.degenerate and "no null result" not in one.sentence
