"""The fifty languages of XTREME-R and those of the user's own: names, families, scripts."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from xtreme_dag.catalogue import own
from xtreme_dag.core.errors import UserError, nearest, refuse_unknown

_FILE = Path(__file__).with_name("languages.csv")
_COLUMNS = ("iso", "name", "family", "script", "laser")  # of a file of the user's own; `iso` must be there
# Scripts that no language of XTREME-R has, under the names that Unicode gives them.
_MORE_SCRIPTS = ("Armenian", "Canadian_Aboriginal", "Cherokee", "Ethiopic", "Kannada", "Khmer", "Lao", "Mongolian", "Nko",
                 "Ol_Chiki", "Oriya", "Sinhala", "Syriac", "Thaana", "Tibetan", "Tifinagh", "Vai")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Language:
    """One language.

    Attributes:
        iso: ISO 639-1 code as XTREME spells it, or 639-3.
        laser: the code in the names of LASER's Tatoeba files (ISO 639-3, `pes` for Persian and so on), or "".
        name: its English name.
        family: family and branch; compiled from general knowledge, not from a paper's table.
        script: the main script; compiled from general knowledge. Empty if it is not known.
        in_xlmr_pretraining: whether XLM-R was pretrained on it; from memory, so never printed as a published fact
            (that Yoruba was not is confirmed in google-research/xtreme, issue 84); None if nobody said.
    """

    iso: str
    laser: str
    name: str
    family: str
    script: str
    in_xlmr_pretraining: bool | None


def languages() -> Mapping[str, Language]:
    """All languages by ISO code: those of the package in alphabetical order, then those of the user's own."""
    return {**_shipped(), **_own(own.stamp())[0]}


def wrong_language(code: str) -> UserError | None:
    """What is wrong with a line of the user's own for a language, or with the whole of the file; None if nothing is."""
    wrong = _own(own.stamp())[1]
    return wrong.get(code, wrong.get(""))


def scripts() -> list[str]:
    """The names of scripts that a language may have."""
    return sorted({*(one.script for one in _shipped().values()), *_MORE_SCRIPTS})


@lru_cache(maxsize=4)
def _own(_stamp: own.Stamp) -> tuple[Mapping[str, Language], Mapping[str, UserError]]:
    """The languages of the user's own, and code -> what is wrong with its line."""
    found: dict[str, Language] = {}
    wrong: dict[str, UserError] = {}
    for folder in own.folders():
        path = folder / own.LANGUAGES
        if not path.is_file():
            continue
        with path.open(encoding="utf-8", newline="") as lines:
            rows = csv.DictReader(lines)
            try:
                refuse_unknown(rows.fieldnames or (), _COLUMNS, what="column", where=str(path))
                for row in rows:
                    code = str(row.get("iso") or "")
                    where = f"{path}, line {rows.line_num}"
                    try:
                        found[code] = _own_language(code, row, where, found)
                    except UserError as error:
                        wrong[code] = error
            except UserError as error:
                wrong[""] = error
            except (UnicodeDecodeError, csv.Error) as error:
                wrong[""] = UserError(f"is not CSV in UTF-8: {error}", where=str(path))
    return found, wrong


def _own_language(code: str, row: Mapping[str, str | None], where: str, before: Mapping[str, Language]) -> Language:
    if not code:
        raise UserError("`iso` is missing", where=where)
    if code in _shipped():
        raise UserError(f"{code!r} is a language of the package", where=where, fix="leave the line out")
    script = row.get("script") or ""
    if script and script not in scripts():
        raise UserError(f"no script {script!r}", where=f"{where}: script", fix=nearest(script, scripts()))
    made = Language(
        iso=code,
        laser=row.get("laser") or "",
        name=row.get("name") or code,
        family=row.get("family") or "",
        script=script,
        in_xlmr_pretraining=None,
    )
    if before.get(code, made) != made:
        raise UserError(f"{code!r} is in two catalogues, with different values", where=where)
    return made


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Language]:
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
