"""The languages of the miniworld: code, name, family, script, grammar, and kinship to English.

`en` is the pivot: its words are English. The others are invented, under the ISO 639 codes reserved for private use.
Kinship is planted: 1 is English itself, 0 shares nothing with it. It is the squared share of the concept's vector in
the vector of the word that the planted model starts from (see `training.planted_embeddings`), so transfer falls as kinship falls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xtreme_dag.core.english import ENGLISH
from xtreme_dag.core.errors import UserError, nearest


@dataclass(frozen=True, kw_only=True)
class Language:
    """One language of the miniworld.

    Attributes:
        code: `en` or a private-use ISO 639 code.
        name: its (invented) name.
        family: languages of one family have related words and share half of what separates them from English.
        script: ISO 15924 code of its script.
        order: `svo`, `sov` or `vso`.
        kinship: to English, 0 to 1.
        adjective_first: adjectives precede their noun.
        articles: has a word for "the".
        postpositions: "in" follows its noun.
        fronting: question words move to the front.
        agreement: adjectives take the plural suffix of their noun.
        spaced: words are separated by spaces.
        suffixes: feature -> suffix, in the Latin transcription; a feature that is missing is not marked
            (`#perfect`: an auxiliary word instead; `#locative`: replaces the adposition "in").
        shape: of its stems: C consonant, V vowel; `Han`: two characters.
        shifts: letter -> letter, the sound changes since the family's common ancestor.
    """

    code: str
    name: str
    family: str
    script: str
    order: str
    kinship: float
    adjective_first: bool = True
    articles: bool = False
    postpositions: bool = False
    fronting: bool = False
    agreement: bool = False
    spaced: bool = True
    suffixes: Mapping[str, str] = field(default_factory=dict)
    shape: str = "CVCVC"
    shifts: Mapping[str, str] = field(default_factory=dict)


LANGUAGES: tuple[Language, ...] = (
    Language(code=ENGLISH, name="English", family="Insular", script="Latn", order="svo", kinship=1.0, articles=True,
             suffixes={"#plural": "s"}),
    Language(code="qaa", name="Ardish", family="Insular", script="Latn", order="svo", kinship=0.9, articles=True,
             suffixes={"#plural": "en"}, shape="CVCVC"),
    Language(code="qab", name="Belmic", family="Insular", script="Latn", order="svo", kinship=0.85, articles=True,
             adjective_first=False, agreement=True, suffixes={"#plural": "ir"}, shape="CVCVC",
             shifts={"k": "h", "p": "f", "t": "d", "b": "v", "u": "o", "e": "i"}),
    Language(code="qac", name="Corvian", family="Riverine", script="Cyrl", order="svo", kinship=0.8,
             suffixes={"#plural": "i", "#accusative": "um"}, shape="CVCVC"),
    Language(code="qad", name="Drevic", family="Riverine", script="Cyrl", order="sov", kinship=0.75, fronting=True,
             suffixes={"#plural": "et", "#accusative": "on", "#perfect": "al"}, shape="CVCVC",
             shifts={"b": "v", "g": "h", "k": "g", "t": "d", "o": "a", "i": "e"}),
    Language(code="qae", name="Elantic", family="Coastal", script="Grek", order="vso", kinship=0.7, articles=True,
             adjective_first=False, fronting=True, suffixes={"#plural": "is"}, shape="CVCVC"),
    Language(code="qaf", name="Fandri", family="Highland", script="Deva", order="sov", kinship=0.6,
             postpositions=True, suffixes={"#plural": "no", "#accusative": "ko"}, shape="CVCV"),
    Language(code="qag", name="Gao", family="Eastern", script="Hani", order="svo", kinship=0.5, spaced=False,
             postpositions=True, shape="Han"),
    Language(code="qah", name="Hokvari", family="Highland", script="Geor", order="sov", kinship=0.4,
             postpositions=True, suffixes={"#plural": "eb", "#accusative": "is", "#locative": "si", "#perfect": "ul"},
             shape="CVCVC"),
    Language(code="qai", name="Isharic", family="Desert", script="Arab", order="vso", kinship=0.3, articles=True,
             adjective_first=False, agreement=True, suffixes={"#plural": "at"}, shape="CVCVC"),
    Language(code="qaj", name="Jelu", family="Insular", script="Latn", order="sov", kinship=0.2,
             suffixes={"#plural": "ak", "#accusative": "ot", "#locative": "ban"}, shape="VCVCV",
             shifts={"a": "o", "s": "z"}),
    Language(code="qak", name="Keth", family="isolate", script="Grek", order="vso", kinship=0.0, fronting=True,
             adjective_first=False, suffixes={"#plural": "ul", "#perfect": "ta"}, shape="CVCVC"),
)  # fmt: skip

CODES: tuple[str, ...] = tuple(language.code for language in LANGUAGES)


def language_of(code: str) -> Language:
    """The language with this code.

    Raises:
        UserError: the miniworld has no such language.
    """
    for one in LANGUAGES:
        if one.code == code:
            return one
    raise UserError(f"no language {code!r} in the miniworld", where="language", fix=nearest(code, CODES))
