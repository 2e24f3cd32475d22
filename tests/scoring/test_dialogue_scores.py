"""Dialogue state tracking: figures by hand, files judged, and what gold turns reach on the real dialogues."""

import json

import pytest

from xtreme_dag.core.dialogue import accumulated, as_text, informed, ontology
from xtreme_dag.core.errors import UserError
from xtreme_dag.formats import get
from xtreme_dag.scoring.columns import added, figures
from xtreme_dag.scoring.dialogue import FAMILY, statistics

ADDED = [f"xtreme_dag.scoring.dialogue:TURN_{name}" for name in ("FOOD", "PRICE", "AREA")]
GOLD = [["food=thai"], ["area=north", "request=phone"], ["food=welsh"], ["food=thai"]]
STATES = [{"food": "thai"}, {"food": "thai", "area": "north"}, {"food": "welsh", "area": "north"}, {"food": "thai"}]
DIALOGUES = ["a", "a", "a", "b"]


def scored(predicted):
    reached = accumulated(DIALOGUES, [one or [] for one in predicted])
    return figures(FAMILY.metrics, statistics(GOLD, predicted, STATES, reached))


def test_gold_turns_are_all_right():
    assert accumulated(DIALOGUES, GOLD) == STATES
    assert scored(GOLD) == dict.fromkeys(("joint_goal", "turn_inform", "turn_request", "slot_accuracy"), 100.0)


def test_a_mistake_stays_in_the_state_until_it_is_overruled():
    # a wrong area in the second turn of a; the third turn is right, its state is not; b is another dialogue
    found = scored([["food=thai"], ["area=south", "request=phone"], ["food=welsh"], ["food=thai"]])
    assert found == {"joint_goal": 50.0, "turn_inform": 75.0, "turn_request": 100.0, "slot_accuracy": 75.0}
    # the second turn's slots are two of which one is wrong; a turn without a prediction is wrong throughout
    found = scored([["food=thai"], ["area=north"], ["food=welsh"], None])
    assert found == {"joint_goal": 75.0, "turn_inform": 75.0, "turn_request": 50.0, "slot_accuracy": 75.0}


def test_slots_have_figures_of_their_own():
    said = [["food=thai"], ["area=south"], ["food=welsh"], ["food=dontcare"]]
    texts = [as_text(*row) for row in zip(said, accumulated(DIALOGUES, said), strict=True)]
    gold = [as_text(*row) for row in zip(GOLD, STATES, strict=True)]
    assert added(ADDED, gold, texts, {})[1] == {"turn_food": 75.0, "turn_price": 100.0, "turn_area": 75.0}


def test_labels_make_an_ontology():
    known = ontology(["food=thai", "area=north", "food=welsh", "food=dontcare", "request=phone"])
    assert known.classes == {"food": ("none", "dontcare", "thai", "welsh"), "area": ("none", "dontcare", "north")}
    assert known.requests == ("phone",)
    for wrong in ("food", "=thai", "food="):
        with pytest.raises(UserError, match="SLOT=VALUE"):
            ontology([wrong])


def test_files_of_the_layout_are_judged_as_predictions_are(tmp_path):
    layout = get("dialogue_state").layout
    asked = {"id": [f"{name}-{place}" for place, name in enumerate(DIALOGUES)], "dialogue": DIALOGUES, "labels": GOLD,
             "state": [[f"{slot}={value}" for slot, value in state.items()] for state in STATES]}  # fmt: skip
    said = [["food=thai"], ["area=south", "request=phone"], ["food=welsh"], None]
    reached = accumulated(DIALOGUES, [one or [] for one in said])
    texts = [None if one is None else as_text(one, state) for one, state in zip(said, reached, strict=True)]
    labels, predictions = tmp_path / "labels.json", tmp_path / "predictions.json"
    labels.write_text(layout.gold(asked))
    predictions.write_text(layout.predictions({"id": asked["id"], "prediction": texts}, asked))
    judged = layout.judge(labels, predictions, "en")
    assert judged.ids == asked["id"] and judged.predictions == texts
    assert figures(FAMILY.metrics, judged.statistics) == scored(said)
    assert any("1 of 4 have no prediction" in warning for warning in judged.warnings)
    for content, wrong in (({"a-0": "food=thai"}, "no list"), ([], "not a JSON object")):
        predictions.write_text(json.dumps(content))
        with pytest.raises(UserError, match=wrong):
            layout.judge(labels, predictions, "en")
    labels.write_text(json.dumps({"a-0": {"labels": []}}))
    with pytest.raises(UserError, match="names no dialogue"):
        layout.judge(labels, predictions, "en")


@pytest.mark.real
@pytest.mark.parametrize(("language", "short"), [("en", (2, 0, 4)), ("de", (2, 0, 0)), ("it", (2, 0, 0))])
def test_gold_turns_reach_what_the_files_allow(shared_data, language, short):
    """Two turns in each language, and four more in English, whose labels do not add up to their state."""
    from tests.data.read_tables import read_table

    for split, missing in zip(("train", "dev", "test"), short, strict=True):
        rows = read_table(shared_data, "mwoz", language, split).to_pylist()
        gold = [row["labels"] for row in rows]
        reached = accumulated([row["dialogue"] for row in rows], gold)
        found = figures(FAMILY.metrics, statistics(gold, gold, [informed(row["state"]) for row in rows], reached))
        assert found["turn_inform"] == found["turn_request"] == 100.0
        assert found["joint_goal"] == pytest.approx(100.0 * (len(rows) - missing) / len(rows))
