"""Regular expressions of the scripts that languages are written in, and a test of texts against them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

# Script name of `languages.csv` -> class of RE2 (Unicode property). Japanese text has kana, which tells it from Chinese.
CLASSES = {
    "Arabic": r"\p{Arabic}",
    "Bengali": r"\p{Bengali}",
    "Burmese": r"\p{Myanmar}",
    "Cyrillic": r"\p{Cyrillic}",
    "Devanagari": r"\p{Devanagari}",
    "Georgian": r"\p{Georgian}",
    "Greek": r"\p{Greek}",
    "Gujarati": r"\p{Gujarati}",
    "Gurmukhi": r"\p{Gurmukhi}",
    "Han": r"\p{Han}",
    "Hangul": r"\p{Hangul}",
    "Hebrew": r"\p{Hebrew}",
    "Japanese": r"[\p{Hiragana}\p{Katakana}\p{Han}]",
    "Latin": r"\p{Latin}",
    "Malayalam": r"\p{Malayalam}",
    "Tamil": r"\p{Tamil}",
    "Telugu": r"\p{Telugu}",
    "Thai": r"\p{Thai}",
}


def in_script(text: pa.Array, script: str) -> pa.Array:
    """For each text whether it has a letter of a script, or no letter at all.

    Args:
        text: strings.
        script: one of `CLASSES`, or Unicode's name of another.
    """
    has = pc.match_substring_regex(text, CLASSES.get(script, rf"\p{{{script}}}"))
    letters = pc.match_substring_regex(text, r"\pL")
    return pc.fill_null(pc.or_(has, pc.invert(letters)), False)
