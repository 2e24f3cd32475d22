"""Sentence pairs: TSV without quoting, CSV with it, JSON lines, parallel line files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xtreme_dag.data.readers.files import Chunk, Place, blocks, lines

Options = Mapping[str, Any]
Files = Mapping[str, Path]
ROWS = 65_536  # examples in a chunk where the format does not give blocks


def read_pairs(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """Tab-separated columns by position, `options["columns"]`.

    Files as released are not quoted. XTREME's script writes them with Python's csv module, which wraps a field in
    quotes, and doubles those inside, only where the field has a quote; `quoted` tells the two apart for the file.
    `rename` maps labels, `header` skips the first line. Role `labels`: the labels of the rows, in another file.
    """
    path = files["table"]
    names: list[str] = options["columns"]
    labels = _labels(files["labels"], options, place) if "labels" in files else None
    rename: Mapping[str, str] = options.get("rename", {})
    quotes = quoted(path, place)
    used = 0
    for first, text in blocks(path, place):
        if options.get("header") and first == 1:
            first, (_, more, text) = 2, text.partition("\n")
            if not more:
                continue
        fields = _fields(text, len(names), path, place, first)
        if quotes:
            fields = [_unquoted(value) for value in fields]
        columns: dict[str, list[Any]] = {name: fields[n :: len(names)] for n, name in enumerate(names)}
        size = len(fields) // len(names)
        if labels is not None:
            columns["label"] = labels[used : used + size]
            used += size
            if len(columns["label"]) < size:
                raise place.error(f"{len(labels)} labels for more rows than that in {path.name}", files["labels"])
        if rename:
            columns["label"] = [rename.get(label, label) for label in columns["label"]]
        columns.setdefault("label", [None] * size)
        yield Chunk(columns=columns, file=path, lines=range(first, first + size), labels_file=files.get("labels"))
        del fields, columns  # before the next block is cut
    if labels is not None and used < len(labels):
        raise place.error(f"{len(labels)} labels for {used} rows in {path.name}", files["labels"])


def read_pairs_named(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """Tab-separated columns by the names in the first line, not quoted.

    `options`: canonical column -> name in the file (`text_a`, `text_b`, `label`, `id`); `language`: name of a column
    with language codes, of which only the place's rows are kept (the release files of XNLI hold all languages);
    `keep_split`: only rows of that name in the file of role `splits`, one name a line, are kept.
    """
    path = files["table"]
    header: list[str] = []
    splits = [line for _, block in lines(files["splits"], place) for line in block] if "splits" in files else []
    for first, found in lines(path, place):
        rows = [line.split("\t") for line in found]
        if not header:
            header, rows, first = rows[0], rows[1:], first + 1
        wanted = _positions(header, options, path, place)
        if rows and set(map(len, rows)) != {len(header)}:
            raise _ragged(rows, len(header), path, place, first)
        at: Sequence[int] = range(first, first + len(rows))
        if "language" in options:
            kept = [n for n, row in enumerate(rows) if row[wanted["language"]] == place.language]
            rows, at = [rows[n] for n in kept], [at[n] for n in kept]
        read = len(rows)
        if "keep_split" in options:
            if max(at, default=0) - 1 > len(splits):
                raise place.error(f"{len(splits)} split names for more rows in {path.name}", files["splits"])
            kept = [n for n, line in enumerate(at) if splits[line - 2].strip() == options["keep_split"]]
            rows, at = [rows[n] for n in kept], [at[n] for n in kept]
        columns = {name: [row[n] for row in rows] for name, n in wanted.items() if name != "language"}
        yield Chunk(columns=columns, file=path, lines=at, read=read)


def read_pairs_csv(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """Comma-separated columns with a header, quoted, with line breaks inside fields; `options` as for named columns.

    `rename` maps labels.
    """
    for path in files.values():
        for rows, at in csv_rows(path, place):
            yield _named(rows, at, options, path, place)


def read_pairs_jsonl(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """One JSON object a line; `options` names its fields. Rows whose label is in `drop` are left out."""
    drop = set(options.get("drop", ()))
    for path in files.values():
        for records, at in json_lines(path, place):
            kept = [n for n, record in enumerate(records) if record.get(options["label"]) not in drop]
            yield _named([records[n] for n in kept], [at[n] for n in kept], options, path, place)


def read_pairs_lines(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """Three files with one line each for an example: roles `text_a`, `text_b`, `label`."""
    names = ("text_a", "text_b", "label")
    streams = {name: [line for _, found in lines(files[name], place) for line in found] for name in names}
    sizes = {name: len(found) for name, found in streams.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{files[name].name} {size}" for name, size in sizes.items())
        raise place.error(f"the files differ in length: {told}", files["text_a"])
    for start in range(0, sizes["label"], ROWS):
        columns = {name: [line.strip() for line in found[start : start + ROWS]] for name, found in streams.items()}
        first = start + 1
        yield Chunk(columns=columns, file=files["label"], lines=range(first, first + len(columns["label"])))


def csv_rows(path: Path, place: Place) -> Iterator[tuple[list[dict[str, str]], list[int]]]:
    """Blocks of rows of a quoted CSV file as mappings, with the line on which each one ends."""
    text = (line + "\n" for _, found in lines(path, place) for line in found)
    reader = csv.DictReader(text, strict=True, restkey="", restval=None)
    rows: list[dict[str, str]] = []
    at: list[int] = []
    try:
        for row in reader:
            if ("" in row and isinstance(row[""], list)) or None in row.values():
                raise place.error(f"a row without {len(reader.fieldnames or ())} fields", path, reader.line_num)
            rows.append(row)
            at.append(reader.line_num)
            if len(rows) == ROWS:
                yield rows, at
                rows, at = [], []
    except csv.Error as error:
        raise place.error(f"not CSV: {error}", path, reader.line_num) from None
    yield rows, at


def json_lines(path: Path, place: Place) -> Iterator[tuple[list[dict[str, Any]], list[int]]]:
    """Blocks of JSON objects, one a line, with their line numbers; empty lines are skipped."""
    for first, found in lines(path, place):
        at = [first + n for n, line in enumerate(found) if line.strip()]
        records = []
        for number in at:
            try:
                record = json.loads(found[number - first])
            except (ValueError, RecursionError) as error:
                raise place.error(f"not JSON: {error}", path, number) from None
            if not isinstance(record, dict):
                raise place.error("not a JSON object", path, number)
            records.append(record)
        yield records, at


def quoted(path: Path, place: Place) -> bool:
    """Whether a tab-separated file was written with quoting.

    It was if every field with a quote is wrapped in quotes, and has doubled ones inside: a csv writer wraps a field
    for no other reason, since these files have no tabs or line breaks in fields.
    """
    seen = False
    for _, text in blocks(path, place):
        for line in text.split("\n") if '"' in text else ():
            if '"' not in line:
                continue
            for value in line.split("\t"):
                if '"' in value:
                    inner = value[1:-1]
                    if len(value) < 4 or value[0] != '"' or value[-1] != '"' or '""' not in inner:
                        return False
                    if '"' in inner.replace('""', ""):
                        return False
                    seen = True
    return seen


def _fields(text: str, width: int, path: Path, place: Place, first: int) -> list[str]:
    """The fields of some lines, one after the other.

    Splitting all at once is several times as fast as line by line; a row that is too long and one that is too short
    would cancel out, so the separators are looked at first.
    """
    data = np.frombuffer(text.encode(), dtype=np.uint8)
    separators = data[(data == ord("\t")) | (data == ord("\n"))]
    ends = np.flatnonzero(separators == ord("\n"))
    if len(separators) != (len(ends) + 1) * width - 1 or np.any((ends + 1) % width):
        raise _ragged([line.split("\t") for line in text.split("\n")], width, path, place, first)
    return text.replace("\n", "\t").split("\t")


def _unquoted(value: str) -> str:
    return value[1:-1].replace('""', '"') if value[:1] == '"' else value


def _labels(path: Path, options: Options, place: Place) -> list[str | None]:
    """The labels in a file of their own: one a line, or a named column of a table with a header."""
    found = [line for _, block in lines(path, place) for line in block]
    if "labels" not in options:
        return [line.strip() for line in found]
    header = found[0].split("\t")
    name = options["labels"]["column"].format(language=place.language)
    if name not in header:
        raise place.error(f"no column {name!r}", path, 1)
    return [line.split("\t")[header.index(name)] for line in found[1:]]


def _positions(header: Sequence[str], options: Options, path: Path, place: Place) -> dict[str, int]:
    wanted = {name: options[name] for name in ("id", "text_a", "text_b", "label", "language") if name in options}
    for name in wanted.values():
        if name not in header:
            raise place.error(f"no column {name!r}", path, 1, fix=f"its columns: {', '.join(header)}")
    return {name: header.index(column) for name, column in wanted.items()}


def _ragged(rows: Sequence[Sequence[str]], width: int, path: Path, place: Place, first: int) -> Exception:
    bad = [n for n, row in enumerate(rows) if len(row) != width]
    return place.error(f"{len(rows[bad[0]])} columns instead of {width}", path, first + bad[0])


def _named(rows: Sequence[Mapping[str, Any]], at: Sequence[int], options: Options, path: Path, place: Place) -> Chunk:
    """The fields of some rows that `options` names, their labels renamed."""
    columns = {
        name: [_cell(row, options[name], path, place, line) for row, line in zip(rows, at, strict=True)]
        for name in ("id", "text_a", "text_b", "label")
        if name in options
    }
    if rename := options.get("rename"):
        columns["label"] = [rename.get(label, label) for label in columns["label"]]
    return Chunk(columns=columns, file=path, lines=at)


def _cell(row: Mapping[str, Any], name: str, path: Path, place: Place, line: int) -> Any:
    if name not in row:
        raise place.error(f"no field {name!r}", path, line, fix=f"its fields: {', '.join(map(str, row))}")
    return row[name]


Reader = Callable[[Files, Options, Place], Iterator[Chunk]]
