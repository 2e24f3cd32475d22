"""The fifty languages of XTREME-R: names, families, scripts."""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FILE = Path(__file__).with_name("languages.csv")


@dataclass(frozen=True, kw_only=True)
class Language:
    """One language.

    Attributes:
        iso: ISO 639-1 code as XTREME spells it.
        laser: the code in the names of LASER's Tatoeba files (ISO 639-3, `pes` for Persian and so on), or "".
        name: its English name.
        family: family and branch; compiled from general knowledge, not from a paper's table.
        script: the main script; compiled from general knowledge.
        in_xlmr_pretraining: whether XLM-R was pretrained on it; from memory, so never printed as a published fact
            (that Yoruba was not is confirmed in google-research/xtreme, issue 84).
    """

    iso: str
    laser: str
    name: str
    family: str
    script: str
    in_xlmr_pretraining: bool


@lru_cache(maxsize=1)
def languages() -> dict[str, Language]:
    """All languages by ISO code, in alphabetical order."""
    with _FILE.open(encoding="utf-8", newline="") as lines:
        return {
            row["iso"]: Language(
                iso=row["iso"],
                laser=row["laser"],
                name=row["name"],
                family=row["family_compiled"],
                script=row["script_compiled"],
                in_xlmr_pretraining=row["in_xlmr_pretraining_from_memory"] == "1",
            )
            for row in csv.DictReader(lines)
        }


def language_advice(given: str, valid: Collection[str]) -> str:
    """The advice for a code that is not among those that are valid: people write `DE`, `German`, `zh-CN` or `deu`."""
    head = given.lower().replace("_", "-").partition("-")[0]
    meant = [code for code, one in languages().items() if head in (code, one.name.lower(), one.laser)]
    if near := next((code for code in meant if code in valid), None):
        return f"did you mean {near!r}?"
    return f"it has: {' '.join(valid)}"
