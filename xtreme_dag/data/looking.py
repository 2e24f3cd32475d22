"""Looks at a file of the user's own and says what it holds: format, columns, labels, language, split."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from xtreme_dag import formats
from xtreme_dag.catalogue.languages import languages, scripts
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.data.prepare.assemble import assemble
from xtreme_dag.data.readers.dispatch import read
from xtreme_dag.data.readers.files import Place, lines
from xtreme_dag.data.readers.pairs import csv_rows, json_lines

# Canonical column -> what people call it, in the order in which a name is looked for; case does not count.
NAMES: Mapping[str, tuple[str, ...]] = {
    "text_a": ("text_a", "premise", "sentence1", "sentence_1", "sent1", "question1", "text1", "sentence_a", "query"),
    "text_b": ("text_b", "hypothesis", "sentence2", "sentence_2", "sent2", "question2", "text2", "sentence_b"),
    "label": ("gold_label", "label", "labels", "class", "is_duplicate", "answer", "gold", "correct"),
    "context": ("context", "premise", "passage", "story", "sentence"),
    "question": ("question", "asks_for", "stem", "prompt"),
    "choices": ("choices", "options", "endings", "answers"),
    "id": ("id", "pairid", "pair_id", "idx", "guid", "uid"),
}
CHOICE = re.compile(r"(?:choice|option|ending|answer)_?(?:\d+|[a-e])$", re.IGNORECASE)  # columns with one choice each
SPLITS = {"train": "train", "training": "train", "dev": "dev", "valid": "dev", "validation": "dev", "val": "dev", "test": "test"}  # fmt: skip
USES = {"train": "train", "dev": "select", "test": "test"}
_NOT_LANGUAGES = {"all", "csv", "json", "ner", "nli", "pos", "qa", "raw", "set", "tag", "tsv", "txt", "ud", "v1", "v2"}
_MOST_LABELS = 60  # distinct values up to which a third column without a name is taken for labels
_PEEK = 1000  # rows that are looked at for what a file is
_UNLABELLED = "-"  # SNLI's label where the annotators did not agree
# First word of the names of Unicode's characters -> script, where they differ.
_SCRIPT_WORDS = {"CJK": "Han", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "MYANMAR": "Burmese"}


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What a file is taken for.

    Attributes:
        path: the file.
        format: canonical format.
        reader: name of a reader.
        options: of the reader: canonical column -> name in the file, and more.
        rows: number of examples.
        labels: the labels or tags that it has, sorted; empty where the format has none.
        language: the code in its name, or None.
        split: the split in its name, or None.
        script: the script of most of its letters, or "" if no rule knows it.
    """

    path: Path
    format: str
    reader: str
    options: Mapping[str, Any]
    rows: int
    labels: tuple[str, ...]
    language: str | None
    split: str | None
    script: str


def look(path: Path, *, columns: Mapping[str, str], language: str | None, split: str | None) -> Looked:
    """Looks at a file; reads all of it.

    Args:
        path: TSV, CSV, JSON lines, SQuAD's JSON, CoNLL-U, or a word and a tag a line; compressed or not.
        columns: canonical column -> name in the file, where it is not one that is known (`NAMES`).
        language, split: what is said of it; else they are read from its name.

    Raises:
        UserError: it is of no known form, or there is a mistake in it; says what it has.
    """
    in_name = _tokens(path)
    language = language or _language(in_name)
    split = split or next((SPLITS[token] for token in in_name if token in SPLITS), None)
    place = Place(dataset=path.name, language=language or "?", split=split or "?")
    format, reader, options = _form(path, columns, place)
    counted = Counter[str]()
    letters = Counter[str]()
    rows = 0
    declared = formats.get(format)
    for piece in assemble(read(reader, {"table": path}, options, place), format, options, place):
        rows += len(piece.table)
        if declared.label and not declared.choices:
            values = piece.table[declared.label]
            flat = pc.list_flatten(values) if pa.types.is_list(values.type) else values
            counted.update(
                {
                    str(one["values"]): one["counts"]
                    for one in pc.value_counts(flat).to_pylist()
                    if one["values"] is not None
                }
            )
        if sum(letters.values()) < 10 * _PEEK:
            letters.update(_letters(piece.table, declared.shown or declared.texts[0]))
    if not rows:
        raise place.error("no examples in it", path)
    return Looked(
        path=path, format=format, reader=reader, options=options, rows=rows, labels=tuple(sorted(counted)),
        language=language, split=split, script=_script(letters),
    )  # fmt: skip


def _tokens(path: Path) -> list[str]:
    """The parts of a file's name, and its folder's whole name, in lower case."""
    stem = path.name.split(".")
    kept = stem[:-1] if len(stem) > 1 else stem
    if path.suffix in (".gz", ".bz2", ".xz"):
        kept = kept[:-1]
    return [*filter(None, re.split(r"[^a-z0-9]+", ".".join(kept).lower())), path.absolute().parent.name.lower()]


def _language(tokens: Sequence[str]) -> str | None:
    """The code of a language: one that is known, else the only part that can be one."""
    known = [token for token in tokens if token in languages()]
    if known:
        return known[0]
    like = {token for token in tokens if re.fullmatch(r"[a-z]{2,3}", token)} - {*SPLITS} - _NOT_LANGUAGES
    return like.pop() if len(like) == 1 else None


def _form(path: Path, columns: Mapping[str, str], place: Place) -> tuple[str, str, dict[str, Any]]:
    """Format, reader and its options."""
    suffix = next((each for each in reversed(path.suffixes) if each not in (".gz", ".bz2", ".xz")), "").lower()
    if suffix == ".json":
        return "span_qa", "squad", {}
    if suffix in (".jsonl", ".ndjson"):
        records = [record for found, _ in json_lines(path, place) for record in found]
        return _by_name(path, [*records[0]] if records else [], columns, "jsonl", records, place)
    if suffix == ".csv":
        rows = [row for found, _ in csv_rows(path, place) for row in found]
        return _by_name(path, [*rows[0]] if rows else [], columns, "csv", rows, place)
    head = [line for _, line in zip(range(_PEEK), _lines(path, place), strict=False)]
    filled = [line.split("\t") for line in head if line.strip() and not line.startswith("# ")]
    widths = {len(row) for row in filled}
    if suffix == ".conllu" or widths == {10}:
        return "tagging", "conllu", {"tokens": "words"}
    named = _known(filled[0], columns) if filled else {}
    if {"text_a", "text_b"} <= {*named}:
        return "pair_classification", "pairs_named", named
    if widths == {2} and any(not line.strip() for line in head[:-1]):
        return "tagging", "tags", {}
    if widths == {3} and len({row[2] for row in filled}) <= min(_MOST_LABELS, max(2, len(filled) // 2)):
        return "pair_classification", "pairs", {"columns": ["text_a", "text_b", "label"]}
    raise _unknown(path, filled[0] if filled else [], place)


def _by_name(
    path: Path,
    names: Sequence[str],
    columns: Mapping[str, str],
    kind: str,
    rows: Sequence[Mapping[str, Any]],
    place: Place,
) -> tuple[str, str, dict[str, Any]]:
    """What a table with named columns is: pairs, or multiple choice."""
    named = _known(names, columns)
    single = [name for name in names if CHOICE.fullmatch(name)]
    if ("choices" in named or len(single) > 1) and "label" in named:
        choices: Any = named.get("choices") if "choices" in named else single
        found = sorted(
            {str(row[named["label"]]) for row in rows if row.get(named["label"]) not in (None, "", -1, "-1")}
        )
        kept: dict[str, Any] = {name: named[name] for name in ("id", "context", "question", "label") if name in named}
        nested = rows[0].get(str(choices)) if isinstance(choices, str) else None
        text = {"choice_text": "text"} if isinstance(nested, list) and nested and isinstance(nested[0], dict) else {}
        return "multiple_choice", f"choices_{kind}", {**kept, "choices": choices, "label_values": found, **text}
    if {"text_a", "text_b", "label"} <= {*named}:
        unlabelled = any(row.get(named["label"]) == _UNLABELLED for row in rows)
        drop = {"drop": [_UNLABELLED]} if unlabelled and kind == "jsonl" else {}
        return "pair_classification", f"pairs_{kind}", {**_pair(named), **drop}
    raise _unknown(path, names, place)


def _known(names: Sequence[str], columns: Mapping[str, str]) -> dict[str, str]:
    """Canonical column -> name in the file: as it is said, else by the names that are known.

    Raises:
        UserError: a column that is said is not there.
    """
    for name in columns.values():
        if name not in names:
            raise UserError(f"no column {name!r}", where="--column", fix=nearest(name, names))
    lower = {name.lower(): name for name in reversed(names)}
    found = {column: next((lower[each] for each in known if each in lower), "") for column, known in NAMES.items()}
    found = {column: name for column, name in {**found, **columns}.items() if name}
    return _pair(found) if {"text_a", "text_b"} <= {*found} else found


def _pair(named: Mapping[str, str]) -> dict[str, str]:
    return {name: named[name] for name in ("id", "text_a", "text_b", "label") if name in named}


def _unknown(path: Path, names: Sequence[str], place: Place) -> UserError:
    has = ", ".join(name[:30] for name in names[:8]) or "nothing"
    fix = (
        "say which columns are which: --column text_a=NAME --column text_b=NAME --column label=NAME; "
        "for a form of your own write a reader (docs/howto-bring-your-own.md)"
    )
    return place.error(f"of no form that is known; its first line has: {has}", path, fix=fix)


def _lines(path: Path, place: Place) -> Iterator[str]:
    for _, found in lines(path, place):
        yield from found


def _letters(table: pa.Table, column: str) -> Counter[str]:
    """How often each script's word is in the names of the letters of a column's first texts."""
    found = Counter[str]()
    for value in table[column].slice(0, _PEEK).to_pylist():
        text = " ".join(value) if isinstance(value, list) else str(value)
        found.update(unicodedata.name(letter, "?").split()[0] for letter in text if letter.isalpha())
    return found


def _script(letters: Counter[str]) -> str:
    """The script that most letters are of, if a rule knows it."""
    if not letters:
        return ""
    word = letters.most_common(1)[0][0]
    if letters["HIRAGANA"] or letters["KATAKANA"]:
        word = "HIRAGANA"
    name = _SCRIPT_WORDS.get(word, word.title())
    return name if name in scripts() else ""


def as_json(looked: Looked) -> dict[str, Any]:
    """For programs."""
    return json.loads(json.dumps({**vars(looked), "path": str(looked.path)}))  # type: ignore[no-any-return]
