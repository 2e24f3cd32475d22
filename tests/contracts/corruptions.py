"""Damages raw files of a table, whatever their format: what a contract or a reader must notice.

Each function damages the files of a target, or returns why that cannot be done to it.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.catalogue.languages import languages
from xtreme_dag.catalogue.sources import Source
from xtreme_dag.data.prepare.prepare import canonical

JSON_QA = ("squad", "lareqa", "squad_retrieval")
TAGS = ("tags", "conllu", "ccg")
HUGE = 200 << 20  # bytes


@dataclass(frozen=True, kw_only=True)
class Target:
    """The raw files of one table.

    Attributes:
        dataset: its name.
        language: ISO code.
        split: its name.
        reader: of the catalogue's layout.
        options: of the reader.
        files: role -> file.
        ids: of the undamaged table, in its order.
        others: other languages of the split -> their files.
    """

    dataset: str
    language: str
    split: str
    reader: str
    options: Mapping[str, Any]
    files: Mapping[str, Path]
    ids: Sequence[str] = ()
    others: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)

    @property
    def main(self) -> Path:
        """The file with the texts."""
        return self.files.get("text") or next(iter(self.files.values()))


def target(source: Source, dataset: str, language: str, split: str) -> Target:
    """The files of a table of a source."""
    entry = load_catalogue().dataset(dataset)
    located = source.locate(entry, language, split)
    params, files = dict(located.params), dict(located.files)
    if params["reader"] == "union":
        params, files = params["options"]["parts"][0], {k[2:]: v for k, v in files.items() if k.startswith("0.")}
    asked = {"dataset": dataset, "language": language, "split": split, "format": entry.format}
    table, _ = canonical({**located.params, **asked, "labels": list(entry.labels), "limit": None}, located.files, {})
    codes = [code for code in source.languages(entry, split) if code != language]
    return Target(
        dataset=dataset,
        language=language,
        split=split,
        reader=params["reader"],
        options=params.get("options", {}),
        files=files,
        ids=table["id"].to_pylist(),
        others={code: source.locate(entry, code, split).files for code in codes},
    )


def labels_constant(of: Target) -> str:
    """Every label is the first one."""
    return _relabelled(of, lambda labels: [labels[0]] * len(labels))


def offsets_shifted(of: Target) -> str:
    """Every answer begins one character later than it does."""
    if of.reader == "mewslix":
        records = [json.loads(line) for line in _text(of.files["mentions"]).splitlines()]
        for mention in (mention for record in records for mention in record["mentions"]):
            mention["mention_span"]["start"] += 1
        _write(of.files["mentions"], "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
        return ""
    if of.reader not in JSON_QA:
        return "no offsets"

    def shift(qa: dict[str, Any]) -> None:
        for answer in qa.get("answers", ()):
            answer["answer_start"] += answer["answer_start"] >= 0

    return _questions(of, shift)


def iob2_broken(of: Target) -> str:
    """The first entity of more than one word loses its beginning."""
    if "B-PER" not in load_catalogue().dataset(of.dataset).labels:
        return "no IOB2 tags"
    text = _text(of.main)
    broken = re.sub(r"\tB-(\w+)(\n[^\n]*\tI-\1\n)", r"\tO\2", text, count=1)
    _write(of.main, broken)
    return "" if broken != text else "no entity of two words"


def row_missing(of: Target) -> str:
    """One example is gone, from this language alone."""
    if of.reader in ("parallel_lines", "pairs_lines"):
        role = "text" if of.reader == "parallel_lines" else "text_a"
        return _lines(of.files[role], lambda lines: lines[:3] + lines[4:])
    if not load_catalogue().dataset(of.dataset).parallel and of.reader != "lareqa":
        return "its languages are not parallel"
    if of.reader in JSON_QA:
        content = json.loads(_text(of.main))
        del content["data"][0]["paragraphs"][0]["qas"][0]
        _write(of.main, json.dumps(content, ensure_ascii=False))
        return ""
    return _lines(of.main, lambda lines: lines[:3] + lines[4:])


def id_doubled(of: Target) -> str:
    """The second example takes the id of the first."""
    if of.options.get("derive_ids"):
        return "ids repeat in the release: they are derived, and the repeats are noted"
    if of.ids[0].rpartition("-")[0] in (of.split, f"snli:{of.split}"):
        return "the files have no ids"
    first, second = of.ids[:2]
    text = _text(of.main)
    if of.reader == "bucc":
        return _write(of.main, re.sub(rf"^{re.escape(second)}\t", f"{first}\t", text, flags=re.MULTILINE))
    if of.reader in JSON_QA:
        return _questions(of, lambda qa: qa.update(id=first) if qa["id"] == second else None)
    if of.reader.endswith("jsonl"):
        name = of.options["id"]
        return _records(of, lambda r: r.update({name: _like(r[name], first)}) if str(r[name]) == second else None)
    if of.reader.endswith("csv"):
        name = of.options["id"]
        return _cells(of, lambda row: row.update({name: first}) if row[name] == second else None)
    if of.reader == "copa_xml":
        return _write(of.main, text.replace(f'<item id="{second}"', f'<item id="{first}"'))
    if of.reader == "mewslix":
        path = of.files["mentions"]
        return _write(path, _text(path).replace(f'"example_id": "{second}"', f'"example_id": "{first}"'))
    return "the files have no ids"


def of_another_language(of: Target) -> str:
    """The file is that of another language, of one in the same script if there is one."""
    if not of.others:
        if of.reader == "bucc":
            return _write(of.main, _text(of.files["english"]))
        return "one language: another's file in the same script cannot be told, one in another breaks script_fits"
    script = languages()[of.language].script
    other = next((code for code in of.others if languages()[code].script == script), next(iter(of.others)))
    theirs = of.others[other]
    if "mentions" in theirs:
        return "its languages are in one file"
    return _write(of.main, _text(theirs.get("text") or next(iter(theirs.values()))))


def not_utf8(of: Target) -> str:
    """Two bytes in the middle that are no character."""
    data = _bytes(of.main)
    middle = len(data) // 2
    return _write(of.main, data[:middle] + b"\xff\xfe" + data[middle:])


def gzip_truncated(of: Target) -> str:
    """The archive lacks its end."""
    packed = gzip.compress(_bytes(of.main), compresslevel=1)
    of.main.write_bytes(packed[: len(packed) - 12])
    return ""


def line_of_200_mb(of: Target) -> str:
    """A line of 200 MB: in JSON and XML inside a text, else at the end."""
    data = _bytes(of.main)
    huge = b"x" * HUGE
    if of.reader in JSON_QA:
        data = re.sub(rb'"context": ?"', lambda found: found.group() + huge, data, count=1)
    elif of.reader == "copa_xml":
        data = data.replace(b"<p>", b"<p>" + huge, 1)
    else:
        data += huge + b"\n"
    return _write(of.main, data)


CORRUPTIONS: tuple[Callable[[Target], str], ...] = (
    labels_constant,
    offsets_shifted,
    iob2_broken,
    row_missing,
    id_doubled,
    of_another_language,
    not_utf8,
    gzip_truncated,
    line_of_200_mb,
)


def _relabelled(of: Target, change: Callable[[list[str]], list[str]]) -> str:
    name = of.options.get("label", "")
    if of.reader == "pairs" and "labels" not in of.files:
        at = of.options["columns"].index("label") if "label" in of.options["columns"] else None
        return "no labels" if at is None else _column(of.main, at, change, header=bool(of.options.get("header")))
    if of.reader == "pairs":
        path, spec = of.files["labels"], of.options.get("labels")
        if spec is None:
            return _lines(path, change)
        header = _text(path).partition("\n")[0].split("\t")
        return _column(path, header.index(spec["column"].format(language=of.language)), change, header=True)
    if of.reader in ("pairs_named", "pairs_language"):
        return _column(of.main, _text(of.main).partition("\n")[0].split("\t").index(name), change, header=True)
    if of.reader == "pairs_lines":
        return _lines(of.files["label"], change)
    if of.reader.endswith("jsonl"):
        first = json.loads(_text(of.main).partition("\n")[0])
        return _records(of, lambda record: record.update({name: first[name]})) if name in first else "no labels"
    if of.reader.endswith("csv"):
        first = next(csv.DictReader(io.StringIO(_text(of.main))))
        for path in of.files.values():
            _cells(of, lambda row: row.update({name: first[name]}), path)
        return ""
    if of.reader == "choices_lines":
        return _lines(of.main, lambda lines: [lines[1] if n % 6 == 1 else line for n, line in enumerate(lines)])
    if of.reader == "copa_xml":
        return _write(of.main, re.sub(r'(most-plausible-alternative=")\d', r"\g<1>1", _text(of.main)))
    if of.reader in TAGS:
        place = {"tags": r"(?m)^([^\t\n]+\t)([^\t\n]+)$", "conllu": r"(?m)^(\d+\t[^\t\n]*\t[^\t\n]*\t)([^\t\n]+)",
                 "ccg": r"(\|)([^|\s]+)(?=\s)"}[of.reader]  # fmt: skip
        for path in of.files.values():
            text = _text(path)
            first = re.search(place, text)
            _write(path, re.sub(place, rf"\g<1>{first.group(2)}" if first else "", text))
        return ""
    return "no labels"


def _column(path: Path, at: int, change: Callable[[list[str]], list[str]], *, header: bool) -> str:
    rows = [line.split("\t") for line in _text(path).splitlines()]
    body = rows[header:]
    for row, label in zip(body, change([row[at] for row in body]), strict=True):
        row[at] = label
    return _write(path, "".join("\t".join(row) + "\n" for row in rows))


def _lines(path: Path, change: Callable[[list[str]], list[str]]) -> str:
    return _write(path, "".join(line + "\n" for line in change(_text(path).removesuffix("\n").split("\n"))))


def _questions(of: Target, change: Callable[[dict[str, Any]], None]) -> str:
    content = json.loads(_text(of.main))
    for article in content["data"]:
        for paragraph in article["paragraphs"]:
            for qa in paragraph["qas"]:
                change(qa)
    return _write(of.main, json.dumps(content, ensure_ascii=False))


def _records(of: Target, change: Callable[[dict[str, Any]], None]) -> str:
    records = [json.loads(line) for line in _text(of.main).splitlines() if line]
    for record in records:
        change(record)
    return _write(of.main, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def _cells(of: Target, change: Callable[[dict[str, str]], None], path: Path | None = None) -> str:
    path = path or of.main
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    rows = list(reader)
    sink = io.StringIO(newline="")
    writer = csv.DictWriter(sink, reader.fieldnames or ())
    writer.writeheader()
    for row in rows:
        change(row)
        writer.writerow(row)
    return _write(path, sink.getvalue())


def _like(value: Any, text: str) -> Any:
    return int(text) if isinstance(value, int) else text


def _bytes(path: Path) -> bytes:
    data = path.read_bytes()
    if data[:2] == b"BZ":
        return bz2.decompress(data)
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def _text(path: Path) -> str:
    return _bytes(path).decode()


def _write(path: Path, content: str | bytes) -> str:
    """Writes a file, compressed if its name says so; "" for the callers' sake: it is done."""
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data, compresslevel=1, mtime=0) if path.suffix == ".gz" else data)
    return ""
