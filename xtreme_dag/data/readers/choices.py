"""Multiple choice: JSON lines, CSV, plain lines, COPA's XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from xtreme_dag.data.readers.files import Chunk, Place, content, lines
from xtreme_dag.data.readers.pairs import ROWS, Files, Options, csv_rows, json_lines

LONGEST_TEXT = 1 << 20  # characters of a text of COPA; the longest has less than a hundred

# XTREME's wording of COPA's two questions, in English whatever the language (third_party/run_xcopa.py).
COPA = {"cause": "What was the cause?", "effect": "What was the effect?"}


def read_choices_jsonl(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """One JSON object a line; see `choice_columns` for the options."""
    for path in files.values():
        for records, at in json_lines(path, place):
            yield Chunk(columns=choice_columns(records, options, path, place, at), file=path, lines=at)


def read_choices_csv(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """Quoted CSV with a header; see `choice_columns` for the options."""
    for path in files.values():
        for rows, at in csv_rows(path, place):
            yield Chunk(columns=choice_columns(rows, options, path, place, at), file=path, lines=at)


def read_choices_lines(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """HellaSwag as text: six lines an example: context, number of the right ending, four endings."""
    for path in files.values():
        every = ((first + n, line) for first, found in lines(path, place) for n, line in enumerate(found))
        while group := list(islice(every, 6 * ROWS)):
            if len(group) % 6:
                raise place.error("the file does not end with a whole example of six lines", path, group[-1][0])
            columns: dict[str, list[Any]] = {"context": [], "question": [], "choices": [], "label": []}
            for start in range(0, len(group), 6):
                number, context = group[start]
                label = group[start + 1][1].strip()
                if label not in ("0", "1", "2", "3"):
                    raise place.error(f"{label!r} is not the number of an ending", path, number + 1)
                columns["context"].append(context.strip())
                columns["question"].append("")
                columns["choices"].append([line.strip() for _, line in group[start + 2 : start + 6]])
                columns["label"].append(int(label))
            yield Chunk(columns=columns, file=path, lines=[number for number, _ in group[::6]])


def read_copa_xml(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """COPA's XML. `options["items"]`: first and last number of the original items; mirrored ones have 1000 more."""
    low, high = options["items"]
    for path in files.values():
        try:
            root = ET.fromstring(content(path, place, mark=b"<"))
        except ET.ParseError as error:
            raise place.error(f"not XML: {error}", path, error.position[0]) from None
        items = root.findall("item")
        columns: dict[str, list[Any]] = {"id": [], "context": [], "question": [], "choices": [], "label": []}
        for item in items:
            name = item.get("id", "")
            asks, right = item.get("asks-for", ""), item.get("most-plausible-alternative", "")
            texts = [item.findtext(tag) for tag in ("p", "a1", "a2")]
            if not name.isdigit() or asks not in COPA or right not in ("1", "2") or None in texts:
                raise place.error(f"item {name!r} is not a COPA item", path)
            if (longest := max(len(str(text)) for text in texts)) > LONGEST_TEXT:
                raise place.error(f"item {name!r} has a text of {longest:,} characters", path)
            if low <= int(name) % 1000 <= high:
                premise, *choices = [str(text).strip() for text in texts]
                for column, value in (("id", name), ("context", premise), ("question", COPA[asks]),
                                      ("choices", choices), ("label", int(right) - 1)):  # fmt: skip
                    columns[column].append(value)
        yield Chunk(columns=columns, file=path, read=len(items))


def choice_columns(
    records: Sequence[Mapping[str, Any]], options: Options, path: Path, place: Place, at: Sequence[int]
) -> dict[str, list[Any]]:
    """Canonical columns of records.

    Args:
        records: JSON objects or rows; a dotted name reaches into nested objects.
        options: `context`, `question`: names of fields, absent where there is none; `copa: true`: the question is
            `cause` or `effect`. `choices`: names of fields, or one name of a list; `choice_text`: key of the text
            in each element of that list. `label`: name of the field; `label_values`: its values in the order of the
            choices; a field that is missing, empty or -1 is an unknown label. `id`: name of the field.
        path: the file, for messages.
        place: what is being read.
        at: line number of each record.

    Raises:
        UserError: a field is missing, or a label is not among the values.
    """
    columns: dict[str, list[Any]] = {"context": [], "question": [], "choices": [], "label": []}
    values = [str(value) for value in options["label_values"]]
    for record, line in zip(records, at, strict=True):
        asked = _at(record, options.get("question"), path, place, line)
        columns["context"].append(_at(record, options.get("context"), path, place, line))
        columns["question"].append(_copa(asked, path, place, line) if options.get("copa") else asked)
        columns["choices"].append(_choices(record, options, path, place, line))
        columns["label"].append(_label(record.get(options["label"]), values, path, place, line))
    if "id" in options:
        columns["id"] = [str(_at(record, options["id"], path, place, n)) for record, n in zip(records, at, strict=True)]
    return columns


def _copa(asked: str, path: Path, place: Place, line: int) -> str:
    if asked not in COPA:
        raise place.error(f"{asked!r} is neither cause nor effect", path, line)
    return COPA[asked]


def _choices(record: Mapping[str, Any], options: Options, path: Path, place: Place, line: int) -> list[str]:
    named = options["choices"]
    if isinstance(named, str):
        found = _at(record, named, path, place, line)
        key = options.get("choice_text")
        return [_at(one, key, path, place, line) for one in found] if key else list(found)
    return [_at(record, name, path, place, line) for name in named]


def _label(value: Any, values: Sequence[str], path: Path, place: Place, line: int) -> int | None:
    if value is None or str(value) in ("", "-1"):
        return None
    if str(value) not in values:
        raise place.error(f"label {value!r} is not one of {', '.join(values)}", path, line)
    return values.index(str(value))


def _at(record: Any, name: str | None, path: Path, place: Place, line: int) -> Any:
    """The value of a field; a dotted name reaches into nested objects, no name is an empty text."""
    if name is None:
        return ""
    for part in name.split("."):
        if not isinstance(record, Mapping) or part not in record:
            raise place.error(f"no field {name!r}", path, line)
        record = record[part]
    return record
