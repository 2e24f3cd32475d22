"""The lexicon translator: every word right, nothing reordered."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xtreme_dag.catalogue.miniworld_languages import CODES, language_of
from xtreme_dag.core.errors import UserError
from xtreme_dag.data.derive.translate_lexicon import Lexicon
from xtreme_dag.miniworld.source import table
from xtreme_dag.miniworld.translate import translate_words


def texts(code, column="text", count=150):
    made = table("parallel_text", dataset="d", language=code, split="train", rows=count, seed=1)
    return made[column].to_pylist()


@pytest.mark.parametrize("code", CODES)
def test_a_language_translates_to_itself_unchanged(code):
    tagged = table("tagging", dataset="d", language=code, split="dev", rows=60, seed=2)["words"].to_pylist()
    assert all(translate_words(words, code, code) == words for words in tagged)


def test_a_language_with_english_grammar_is_translated_to_the_letter():
    assert Lexicon("qaa").texts(texts("en")) == texts("qaa")


def test_other_grammars_get_the_right_words_in_the_wrong_order():
    english, native = texts("en"), texts("qac")
    made = Lexicon("qac").texts(english)
    assert 0 < sum(a == b for a, b in zip(made, native, strict=True)) < len(native)
    (first, *_), *_ = (text.split() for text in Lexicon("qaf").texts(["the dogs washed the wet horse."]))
    assert first == translate_words(["dogs"], "en", "qaf")[0]


@settings(max_examples=40, deadline=None)
@given(source=st.sampled_from(CODES), target=st.sampled_from(CODES), row=st.integers(0, 59))
def test_words_stay_aligned(source, target, row):
    words = table("tagging", dataset="d", language=source, split="dev", rows=60, seed=2)["words"][row].as_py()
    made = translate_words(words, source, target)
    assert len(made) == len(words)
    missing = {word for word, other in zip(words, made, strict=True) if not other}
    assert not missing or not language_of(target).articles


def test_a_word_that_is_none_is_named():
    with pytest.raises(UserError, match="'zebra' is no word of English"):
        translate_words(["the", "zebra", "washed", "the", "dog"], "en", "qaa")
    with pytest.raises(UserError, match="'xy' is no word of Gao"):
        translate_words([*translate_words(["dog"], "en", "qag"), "xy"], "qag", "en")


@pytest.mark.parametrize("code", CODES[1:])
def test_every_language_goes_into_english_without_an_unknown_word(code):
    lexicon = Lexicon("en", source=code)
    for text, english in zip(lexicon.texts(texts(code)), texts("en"), strict=True):
        # Number and some function words are marked otherwise; no word of content is another.
        assert _stems(text) - {"in", "had", "the", "a"} <= _stems(english)
    assert lexicon.unknown == 0


def _stems(text):
    return {word.removesuffix("s") for word in re.findall(r"[a-z]+", text.lower())}
