"""Dialogues with states: WoZ's languages meet in the English ontology, MultiWOZ's labels are what a turn changes."""

import gzip
import json

import pytest

from tests.data.read_tables import checked, prepared, read_table
from xtreme_dag.core.errors import UserError

# Made-up ontologies: equal places, other words; a slot has another name in each language.
ENGLISH = {"requestable": ["phone", "food"], "informable": {"request": ["phone", "food"], "food": ["chinese", "thai"], "area": ["centre", "north"]}}  # fmt: skip
GERMAN = {"requestable": ["telefon", "essen"], "informable": {"request": ["telefon", "essen"], "essen": ["chinesisch", "thai"], "gegend": ["zentrum", "norden"]}}  # fmt: skip


def turn(number, text, acts, labels, state, requests=()):
    beliefs = [{"act": "request", "slots": [["slot", slot]]} for slot in requests]
    beliefs += [{"act": "inform", "slots": [pair]} for pair in state]
    return {
        "turn_idx": number, "system_transcript": "Hello?" if number else "", "system_acts": acts, "transcript": text,
        "asr": [[text, 1.0]], "turn_label": labels, "belief_state": beliefs,
    }  # fmt: skip


def woz(folder, language, turns, ontology, split="test"):
    (folder / "woz").mkdir(exist_ok=True)
    content = json.dumps([{"dialogue_idx": 7, "dialogue": turns}]).encode()
    (folder / f"woz/woz_{split}_{language}.json.gz").write_bytes(gzip.compress(content))
    (folder / f"woz/ontology_{language}.json").write_text(json.dumps(ontology))


@pytest.fixture
def release(tmp_path):
    woz(
        tmp_path, "en",
        [
            turn(0, "thai please", [], [["food", "thai"]], [["food", "thai"]]),
            turn(1, "anywhere, and the phone", ["area", ["food", "thai"]], [["area", "dontcare"], ["request", "phone"]],
                 [["food", "thai"], ["area", "dontcare"]], ["phone"]),
            turn(2, "the center then", [], [["area", "center"]], [["food", "thai"], ["area", "center"]]),
        ],
        ENGLISH,
    )  # fmt: skip
    woz(
        tmp_path, "de",
        [
            turn(0, "Thai bitte", [], [["essen", "thai"]], [["essen", "thai"]]),
            turn(1, "egal, und das Telefon", ["gegend", ["essen", "thai"]],
                 [["gegend", "es ist egal"], ["request", "telefon"]], [["essen", "thai"], ["gegend", "es ist egal"]]),
            turn(2, "doch im Zentrum", [], [["gegend", "zentrum"]], [["essen", "thai"], ["gegend", "zentrum"]]),
        ],
        GERMAN,
    )  # fmt: skip
    return tmp_path


def test_labels_of_all_languages_are_those_of_the_english_ontology(release):
    english, german = (read_table(release, "mwoz", code, "test").to_pylist() for code in ("en", "de"))
    told = [(row["id"], row["dialogue"], row["turn"], row["labels"], row["state"]) for row in english]
    assert told == [
        ("7-0", "7", 0, ["food=thai"], ["food=thai"]),
        ("7-1", "7", 1, ["area=dontcare", "request=phone"], ["area=dontcare", "food=thai"]),
        ("7-2", "7", 2, ["area=centre"], ["area=centre", "food=thai"]),
    ]
    assert [(row["id"], row["dialogue"], row["turn"], row["labels"], row["state"]) for row in german] == told
    assert english[1]["acts"] == ["request area", "inform food = thai"]
    assert german[1]["acts"] == ["erfragen gegend", "mitteilen essen = thai"]
    assert german[1]["text"] == "egal, und das Telefon" and german[1]["system"] == "Hello?"


def test_ontologies_of_other_sizes_do_not_pair(release):
    ontology = json.loads(json.dumps(GERMAN))
    ontology["informable"]["essen"].append("welsh")
    (release / "woz/ontology_de.json").write_text(json.dumps(ontology))
    with pytest.raises(UserError, match="mwoz/de/test"):
        read_table(release, "mwoz", "de", "test")
    (release / "woz/woz_test_en.json.gz").write_bytes(gzip.compress(b"[{"))
    with pytest.raises(UserError, match="not JSON"):
        read_table(release, "mwoz", "en", "test")


def test_a_contract_names_what_no_labels_reach_and_what_is_out_of_order(tmp_path):
    turns = [
        turn(0, "thai", [], [["food", "thai"]], [["food", "thai"]]),
        turn(1, "bye", [], [], [["food", "chinese"]]),
        turn(2, "corsican", [], [["food", "corsican"]], [["food", "corsican"]]),
    ]
    woz(tmp_path, "en", turns, ENGLISH)
    outcome = checked(prepared(tmp_path, tmp_path / "t", "mwoz", "en", "test"), tmp_path / "o", "mwoz", "en", "test")
    found = {rule["rule"]: (rule["severity"], rule["first_ids"]) for rule in outcome["rules"] if not rule["ok"]}
    assert found.pop("rows_as_published")[0] == "error"  # these are not the published ones
    assert found == {
        "state_adds_up": ("warning", ["7-1"]),
        "labels_in_ontology": ("warning", ["7-2"]),
        "state_in_ontology": ("warning", ["7-2"]),
    }
    turns[1]["turn_idx"] = 5
    woz(tmp_path, "en", turns, ENGLISH)
    outcome = checked(prepared(tmp_path, tmp_path / "u", "mwoz", "en", "test"), tmp_path / "p", "mwoz", "en", "test")
    assert {rule["rule"]: rule["count"] for rule in outcome["rules"]}["turns_in_order"] == 3


def log(*entries):
    return {"log": [{"text": text, "metadata": state} for text, state in entries]}


def multiwoz(folder, language, content):
    path = folder / ("multiwoz/test.json" if language == "en" else "multiwoz_en_states/test.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"SNG1.json": content}, ensure_ascii=False))


def test_multiwoz_labels_are_what_a_turn_changes(tmp_path):
    first = {"hotel": {"semi": {"area": "north", "stars": "not mentioned"}, "book": {"booked": [], "people": ""}}}
    second = {
        "hotel": {"semi": {"area": "dont care", "stars": "4"}, "book": {"booked": [{"name": "x"}], "people": "2"}}
    }
    multiwoz(tmp_path, "en", log(("A hotel\nin the north", {}), ("Which  one?", first), ("4 stars for 2", {}), ("Done.", second)))  # fmt: skip
    rows = read_table(tmp_path, "multiwoz", "en", "test").to_pylist()
    assert [(row["id"], row["text"], row["acts"], row["labels"], row["state"]) for row in rows] == [
        ("SNG1.json-0", "A hotel in the north", [], ["hotel-area=north"], ["hotel-area=north"]),
        (
            "SNG1.json-1", "4 stars for 2", ["Which one?"],
            ["hotel-area=dontcare", "hotel-book people=2", "hotel-stars=4"],
            ["hotel-area=dontcare", "hotel-book people=2", "hotel-stars=4"],
        ),
    ]  # fmt: skip
    multiwoz(tmp_path, "zh", log(("北边的酒店", {}), ("哪一家？", first)))
    (row,) = read_table(tmp_path, "multiwoz", "zh", "test").to_pylist()
    assert (row["text"], row["labels"]) == ("北边的酒店", ["hotel-area=north"])
    multiwoz(tmp_path, "en", log(("no answer", {})))
    with pytest.raises(UserError, match="does not end with the system's turn"):
        read_table(tmp_path, "multiwoz", "en", "test")


def test_a_limit_keeps_dialogues_whole(release):
    path = release / "woz/woz_test_en.json.gz"
    turns = json.loads(gzip.decompress(path.read_bytes()))[0]["dialogue"]
    content = [{"dialogue_idx": number, "dialogue": turns[: 1 + number % 3]} for number in range(30)]
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    rows = read_table(release, "mwoz", "en", "test", limit=20).to_pylist()
    assert 18 <= len(rows) <= 20
    kept = {row["dialogue"] for row in rows}
    assert len(rows) == sum(1 + int(name) % 3 for name in kept)
    assert len(read_table(release, "mwoz", "en", "test", limit=1)) >= 1
