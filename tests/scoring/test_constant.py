"""One answer to everything: no other constant gets more, and it is scored as a prediction is."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xtreme_dag.core.dialogue import as_text
from xtreme_dag.scoring import accuracy, dialogue, squad_v2, tagging
from xtreme_dag.scoring.columns import figures
from xtreme_dag.scoring.combine import FAMILIES
from xtreme_dag.scoring.constant import CONSTANT


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30))
def test_no_constant_label_is_right_more_often(gold):
    most = CONSTANT["accuracy"](gold)["s_correct"].sum()
    assert most == max(accuracy.statistics(gold, [label] * len(gold))["s_correct"].sum() for label in "abc")


@given(st.lists(st.lists(st.sampled_from(["NOUN", "VERB", "SYM"]), min_size=1, max_size=6), min_size=1, max_size=10))
def test_no_constant_tag_is_right_for_more_words(sentences):
    found = CONSTANT["tagging"]([" ".join(tags) for tags in sentences])
    every = [
        tagging.statistics(sentences, [[tag] * len(tags) for tags in sentences]) for tag in ("NOUN", "VERB", "SYM")
    ]
    assert found["s_tokens_correct"].sum() == max(one["s_tokens_correct"].sum() for one in every)
    assert any(all(np.array_equal(found[name], one[name]) for name in found) for one in every)


def test_entities_are_not_found_by_a_constant_tag():
    found = CONSTANT["tagging"](["O O B-PER I-PER O", "B-LOC O O"])
    assert figures(FAMILIES["tagging"].metrics, found) == {
        "f1": 0.0,
        "precision": 0.0,
        "recall": 0.0,
        "token_accuracy": 62.5,
    }


def test_sentences_without_words_have_no_tag():
    assert CONSTANT["tagging"](["", ""])["s_tokens"].tolist() == [0, 0]


def test_turns_get_the_most_frequent_labels_and_state():
    turns = [["food=thai"], ["request=phone"], [], []]
    states = [{"food": "thai"}, {"food": "thai"}, {"food": "thai"}, {}]
    found = CONSTANT["dialogue"]([as_text(*pair) for pair in zip(turns, states, strict=True)])
    assert all(np.array_equal(found[name], column) for name, column in
               dialogue.statistics(turns, [[]] * 4, states, [{"food": "thai"}] * 4).items())  # fmt: skip
    assert found["s_joint"].sum() == 3 and found["s_inform"].sum() == 3


def test_no_answer_is_right_where_there_is_none():
    gold = [["a town"], [], [], ["the"]]  # the last is nothing once it is normalised
    found = CONSTANT["answers_v2"]([json.dumps(answers) for answers in gold])
    assert found["s_em"].tolist() == squad_v2.statistics(gold, [""] * 4)["s_em"].tolist() == [0, 1, 1, 1]


def test_families_are_those_that_there_are():
    assert CONSTANT.keys() <= FAMILIES.keys()
    assert all(set(FAMILIES[name].columns) == set(columns) for name, columns in {
        "accuracy": CONSTANT["accuracy"](["a"]), "tagging": CONSTANT["tagging"](["O"])}.items())  # fmt: skip
