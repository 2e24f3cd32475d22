"""The word forms of each language: stems from a family's common ancestor, sound changes, scripts, suffixes.

English words are themselves. A generated stem is drawn from the family's ancestor and the concept, shifted by the
language's sound changes and written in its script; drawn again while it is already a word, or the beginning of a
word, of a language with the same script. Names are the same in every language but for the script; in Han they are
words of two characters like all others.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from xtreme_dag.catalogue.miniworld_languages import CODES, Language, language_of
from xtreme_dag.core.english import ENGLISH
from xtreme_dag.miniworld.world import FEATURES, NAMES, NOUNS, VERBS, WORDS

_CONSONANTS = "pbtdkgmnlrszfvhj"
_VOWELS = "aeiou"
# One letter for each of _CONSONANTS + _VOWELS; none changes under NFC or NFKC.
_ALPHABETS = {
    "Latn": _CONSONANTS + _VOWELS,
    "Cyrl": "пбтдкгмнлрсзфвхжаеиоу",
    "Grek": "πβτδκγμνλρσζφθχξαειου",
    "Geor": "პბტდკგმნლრსზფვჰჯაეიოუ",
    "Arab": "پبتدكگمنلرسزفڤهيا\u0639\u0649\u06c6و",
    "Deva": "पबतदकगमनलरसजफवहयाेिोु",
}
_FREE_VOWELS = dict(zip(_VOWELS, "आएइओउ", strict=True))  # Devanagari: where no consonant carries the vowel
_FOREIGN = str.maketrans({"c": "k", "q": "k", "w": "v", "y": "i", "x": "ks"})
_CASED = ("Latn", "Cyrl", "Grek")
_STOPS = {"Deva": "।", "Hani": "。"}
_COMMAS = {"Arab": "،", "Hani": "、"}
_QUESTIONS = {"Arab": "؟"}
# Han words: a first character and a second one from disjoint sets, so that running text can be cut in one way only.
_HAN_FIRST = [chr(0x4E00 + 97 * index) for index in range(80)]
_HAN_SECOND = [chr(0x7000 + 89 * index) for index in range(80)]


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """The forms of one language.

    Attributes:
        stems: concept -> stem; articles are missing where the language has none.
        suffixes: feature -> suffix, only those that the language marks.
        marks: punctuation concept -> mark.
    """

    stems: Mapping[str, str]
    suffixes: Mapping[str, str]
    marks: Mapping[str, str]


def transliterate(text: str, script: str) -> str:
    """Latin transcription -> script; capitals stay where the script has them."""
    if script == "Latn":
        return text
    table = dict(zip(_CONSONANTS + _VOWELS, _ALPHABETS[script], strict=True))
    written, carried = "", False
    for letter in text.lower().translate(_FOREIGN):
        written += _FREE_VOWELS[letter] if script == "Deva" and letter in _VOWELS and not carried else table[letter]
        carried = letter in _CONSONANTS
    return written[0].upper() + written[1:] if script in _CASED and text[0].isupper() else written


def _ancestor(family: str, shape: str, concept: str, attempt: int) -> str:
    """The family's old word for a concept, in the Latin transcription."""
    rng = random.Random(f"{family}/{shape}/{concept}/{attempt}")
    return "".join(rng.choice(_CONSONANTS if slot == "C" else _VOWELS) for slot in shape)


def _stem(language: Language, concept: str, attempt: int) -> str:
    if language.shape == "Han":
        rng = random.Random(f"{language.family}/{concept}/{attempt}")
        return rng.choice(_HAN_FIRST) + rng.choice(_HAN_SECOND)
    shape = language.shape if concept in NOUNS or concept in VERBS or attempt > 3 else language.shape[:4]
    old = _ancestor(language.family, shape, concept, attempt)
    return transliterate("".join(language.shifts.get(letter, letter) for letter in old), language.script)


def _is_new(stem: str, taken: set[str]) -> bool:
    beginnings = {stem[:end] for end in range(2, len(stem) + 1)}
    return not any(word in beginnings or word.startswith(stem) for word in taken)


def _generated(language: Language, taken: set[str]) -> dict[str, str]:
    stems: dict[str, str] = {}
    for concept in WORDS:
        if concept in ("the", "a") and not language.articles:
            continue
        if concept in NAMES and language.script != "Hani":
            stems[concept] = transliterate(concept, language.script)
            continue
        attempt, stem = 0, _stem(language, concept, 0)
        while not _is_new(stem, taken):
            attempt += 1
            stem = _stem(language, concept, attempt)
        stems[concept] = stem
        taken.add(stem)
    return stems


@cache
def lexicon(code: str) -> Lexicon:
    """The forms of the language with this code; the same in every process.

    Raises:
        UserError: the miniworld has no such language.
    """
    language = language_of(code)
    if code == ENGLISH:
        stems = {word: word for word in WORDS}
    else:
        earlier = [other for other in CODES[: CODES.index(code)] if language_of(other).script == language.script]
        taken = {form for other in earlier for form in lexicon(other).stems.values()} - set(NAMES)
        stems = _generated(language, taken)
    marks = {"#stop": _STOPS.get(language.script, "."), "#comma": _COMMAS.get(language.script, ","),
             "#question": _QUESTIONS.get(language.script, "?")}  # fmt: skip
    suffixes = {
        feature: transliterate(language.suffixes[feature], language.script)
        for feature in FEATURES
        if feature in language.suffixes
    }
    return Lexicon(stems=MappingProxyType(stems), suffixes=MappingProxyType(suffixes), marks=MappingProxyType(marks))
