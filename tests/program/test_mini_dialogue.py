"""The miniworld's study of dialogues, run whole without a server: its figures, and what is resampled."""

import pyarrow.parquet as pq
import pytest

import xtreme_dag as xd
from xtreme_dag.core.dialogue import accumulated, informed, turn_of
from xtreme_dag.core.home import Home
from xtreme_dag.results.compare import compare_conditions

CONDITIONS = ("none", "tlm", "response", "xdm", "monodm")


@pytest.fixture(scope="module")
def study(repository, tmp_path_factory):
    found = xd.load(
        repository / "studies" / "mini_dialogue.yaml",
        home=tmp_path_factory.mktemp("dialogue"),
        frames="arrow",
        languages=["en", "qaa"],
        **{
            "data.miniworld.train": 120,
            "data.miniworld.test": 40,
            "recipe.target.default.epochs": 1,
            "data.contracts": False,
        },
    )
    found.run(server=False, workers=1)
    return found


def test_every_condition_has_a_joint_goal_in_every_language(study):
    rows = study.sql("SELECT condition, language, metric FROM scores WHERE split = 'test'").to_pylist()
    asked = {"joint_goal", "turn_inform", "turn_request", "turn_food", "turn_price", "turn_area", "slot_accuracy"}
    for condition in CONDITIONS:
        for language in ("en", "qaa"):
            there = {row["metric"] for row in rows if (row["condition"], row["language"]) == (condition, language)}
            assert there == asked


def test_dialogues_are_drawn_as_wholes(study):
    found = study.sql(
        "SELECT predictions FROM evaluations WHERE condition = 'tlm' AND language = 'qaa' AND split = 'test'"
    )
    (file,) = found["predictions"].to_pylist()
    rows = pq.read_table(study.home / file).to_pylist()
    dialogues = [row["id"].rpartition("-")[0] for row in rows]
    assert [row["cluster"].rpartition("-")[0] for row in rows] == dialogues
    states = accumulated(dialogues, [turn_of(row["prediction"]) for row in rows])
    gold = accumulated(dialogues, [turn_of(row["gold"]) for row in rows])
    assert [row["s_joint"] for row in rows] == [float(one == other) for one, other in zip(states, gold, strict=True)]
    assert informed(turn_of(rows[0]["gold"])) == gold[0]


def test_answers_and_lengths_are_shown_as_those_of_other_tasks(study):
    (row,) = study.sql("SELECT count(*) AS n, count(correct) AS known FROM examples").to_pylist()
    assert 0 < row["known"] == row["n"]
    wrong = study.sql("SELECT count(*) AS n FROM examples WHERE NOT correct").to_pylist()[0]["n"]
    assert wrong == study.sql("SELECT count(*) AS n FROM predictions WHERE s_joint = 0").to_pylist()[0]["n"] > 0
    (length,) = study.sql(
        "SELECT sum(examples * value) / sum(examples) AS mean FROM by_length"
        " WHERE condition = 'tlm' AND language = 'qaa' AND split = 'test'"
    ).to_pylist()
    (score,) = study.sql(
        "SELECT value FROM scores WHERE condition = 'tlm' AND language = 'qaa' AND split = 'test' AND metric = 'joint_goal'"
    ).to_pylist()
    assert length["mean"] == pytest.approx(score["value"])


def test_compare_draws_dialogues_and_says_so(study):
    (found,) = compare_conditions(Home(study.home), conditions=["tlm"])
    assert any("groups of examples that hang together are drawn as wholes" in note for note in found.notes)
