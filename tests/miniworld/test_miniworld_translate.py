"""The lexicon translator: every word right, nothing reordered."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xtreme_dag.catalogue.miniworld_languages import CODES, language_of
from xtreme_dag.core.errors import UserError
from xtreme_dag.miniworld.source import table
from xtreme_dag.miniworld.translate import split_words, translate, translate_words


def texts(code, column="text", count=150):
    made = table("parallel_text", dataset="d", language=code, split="train", rows=count, seed=1)
    return made[column].to_pylist()


@pytest.mark.parametrize("code", CODES)
def test_a_language_translates_to_itself_unchanged(code):
    assert all(translate(one, code, code) == one for one in texts(code))


def test_a_language_with_english_grammar_is_translated_to_the_letter():
    assert [translate(one, "en", "qaa") for one in texts("en")] == texts("qaa")
    assert [translate(one, "qaa", "en") for one in texts("qaa")] == texts("en")


def test_other_grammars_get_the_right_words_in_the_wrong_order():
    english, native = texts("en"), texts("qac")
    made = [translate(one, "en", "qac") for one in english]
    assert 0 < sum(a == b for a, b in zip(made, native, strict=True)) < len(native)
    assert (
        translate("the dogs washed the wet horse.", "en", "qaf").split()[0] == translate_words(["dogs"], "en", "qaf")[0]
    )


@settings(max_examples=40, deadline=None)
@given(source=st.sampled_from(CODES), target=st.sampled_from(CODES), row=st.integers(0, 59))
def test_words_stay_aligned(source, target, row):
    words = table("tagging", dataset="d", language=source, split="dev", rows=60, seed=2)["words"][row].as_py()
    made = translate_words(words, source, target)
    assert len(made) == len(words)
    missing = {word for word, other in zip(words, made, strict=True) if not other}
    assert not missing or not language_of(target).articles


@pytest.mark.parametrize("code", CODES)
def test_text_is_cut_into_the_words_that_it_was_made_of(code):
    tagged = table("tagging", dataset="d", language=code, split="dev", rows=60, seed=2)["words"].to_pylist()
    for words in tagged:
        joined = ("" if not language_of(code).spaced else " ").join(words)
        assert split_words(joined, code) == words


def test_a_word_that_is_none_is_named():
    with pytest.raises(UserError, match="'zebra' is no word of English"):
        translate("the zebra washed the dog.", "en", "qaa")
    with pytest.raises(UserError, match="'xy' is no word of Gao"):
        translate(translate("the dog", "en", "qag") + "xy", "qag", "en")
