"""The languages: as many, as different and as well-formed as they say they are."""

import unicodedata
from itertools import combinations, islice

import pytest

from xtreme_dag.catalogue.miniworld_languages import CODES, LANGUAGES, language_of
from xtreme_dag.core.errors import UserError
from xtreme_dag.miniworld.grammar import joined, sentence, text
from xtreme_dag.miniworld.lexicon import lexicon
from xtreme_dag.miniworld.meanings import events, randomness
from xtreme_dag.miniworld.world import NAMES, WORDS

SCRIPT_NAMES = {
    "Latn": "LATIN", "Cyrl": "CYRILLIC", "Grek": "GREEK", "Deva": "DEVANAGARI", "Hani": "CJK UNIFIED IDEOGRAPH",
    "Geor": "GEORGIAN", "Arab": "ARABIC",
}  # fmt: skip


def some_events(count=60, **shares):
    rng = randomness(format="test", dataset="test", split="train", seed=3)
    return list(islice(events(rng, "train", **shares), count))


def test_there_are_enough_of_them():
    assert len(LANGUAGES) >= 10
    assert len({one.script for one in LANGUAGES}) >= 4
    assert {one.order for one in LANGUAGES} == {"svo", "sov", "vso"}
    assert CODES[0] == "en" and language_of("en").kinship == 1.0
    assert all("qaa" <= code <= "qtz" for code in CODES[1:]), "private-use codes of ISO 639"
    kinships = [one.kinship for one in LANGUAGES]
    assert kinships == sorted(kinships, reverse=True) and kinships[-1] == 0.0


def test_an_unknown_language_names_the_nearest():
    with pytest.raises(UserError, match="no language 'qza'"):
        language_of("qza")


@pytest.mark.parametrize("code", CODES)
def test_words_are_written_in_the_languages_script(code):
    expected = SCRIPT_NAMES[language_of(code).script]
    for form in lexicon(code).stems.values():
        assert all(unicodedata.name(letter).startswith(expected) for letter in form), form


@pytest.mark.parametrize("code", CODES)
def test_forms_survive_unicode_normalisation(code):
    forms = lexicon(code)
    for form in [*forms.stems.values(), *forms.suffixes.values(), *forms.marks.values()]:
        assert unicodedata.normalize("NFKC", form) == form == unicodedata.normalize("NFC", form)


@pytest.mark.parametrize("code", CODES)
def test_every_concept_has_its_own_word(code):
    stems = lexicon(code).stems
    assert len(set(stems.values())) == len(stems)


def test_only_names_are_shared_between_languages_of_a_script():
    for one, other in combinations(LANGUAGES, 2):
        if one.script == other.script:
            mine, theirs = lexicon(one.code).stems, lexicon(other.code).stems
            assert {word for word in mine if mine[word] in set(theirs.values())} <= set(NAMES)


def test_related_languages_have_related_words():
    def alike(one, other):
        pairs = [
            (lexicon(one).stems[word], lexicon(other).stems.get(word, ""))
            for word in set(WORDS) - set(NAMES) - {"the", "a"}
        ]
        return sum(a == b for stems in pairs for a, b in zip(*stems, strict=False)) / sum(
            len(stems[0]) for stems in pairs
        )

    assert alike("qaa", "qab") > 0.5 > 0.25 > alike("qaa", "qaj")
    assert alike("qac", "qad") > 0.5


def test_word_order_is_the_languages():
    event = some_events(1, places=0.0, manners=0.0, names=0.0)[0]
    for one in LANGUAGES:
        roles = [word.role for word in sentence(event, one.code) if word.role]
        seen = "".join({"subject": "s", "object": "o", "verb": "v"}[role] for role in dict.fromkeys(roles))
        assert seen == one.order


def test_parallel_sentences_have_the_same_content_words():
    for event in some_events():
        contents = {
            tuple(
                sorted(
                    word.concept
                    for word in sentence(event, code)
                    if word.tag in ("NOUN", "VERB", "ADJ", "NUM", "PROPN")
                )
            )
            for code in CODES
        }
        assert len(contents) == 1


@pytest.mark.parametrize("code", CODES)
def test_text_is_spaced_as_the_language_is(code):
    written = [text(joined(some_events(2), "and", code), code)]
    assert all((" " in one) == language_of(code).spaced for one in written)
    assert not any(f" {mark}" in one for one in written for mark in lexicon(code).marks.values())
