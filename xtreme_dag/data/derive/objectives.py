"""Texts for training without labels: masked, translation and dialogue language modelling.

The objectives on parallel text are those of Moghe, Steedman and Birch 2021 (EMNLP, section 3 and the released code):

| objective | a row | masked |
|---|---|---|
| `mlm` | one text | 15 % of the tokens |
| `tlm` | a sentence and its translation | 15 % |
| `tlm_chat` | 2 to 8 lines and one more, in both languages, in either order; under 256 words on the first side | 15 % |
| `monodm` | 2 to 15 lines and one more, all in one of the two languages | 15 % |
| `xdm` | 2 to 15 lines in one language, one more in the other | 15 % |
| `response` | 2 to 15 lines in one language, the next in the other | the whole second text, always |

A chunk never crosses the end of a document, so a short document gives shorter chunks. Which lines a chunk has and
which language comes first depend on the seed, the objective and the ids alone: the same in every pair of languages.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from xtreme_dag import formats
from xtreme_dag.core.context import StageContext
from xtreme_dag.core.english import ENGLISH
from xtreme_dag.core.errors import UserError
from xtreme_dag.formats import parallel_text, plain_text
from xtreme_dag.formats.declaration import Format
from xtreme_dag.tables.canonical import read_table, schema_of, write_table

# Lines of context: at least and at most; words of a chunk at most, counted on its first side.
CONTEXT = {"tlm_chat": (2, 8), "monodm": (2, 15), "xdm": (2, 15), "response": (2, 15)}
WORDS = {"tlm_chat": 255, "monodm": 512, "xdm": 512, "response": 512}


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line in two languages."""

    id: str
    document: str
    text: str
    english: str


def make_text(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Writes the text of an objective as a canonical table, `plain_text` or `parallel_text`.

    Args:
        params: `name`, the objective; `format` of the table; `language`, `split`; `chunks`, how many at most (dialogue
            objectives; without it, one pass over the text); `seed`; `declared`, what the format says, for the key.
        inputs: `table`, a canonical table; `english`, the English table of the same items, for a dataset that has one
            table a language.
        context: `out` receives `table.parquet` and `counts.json`.

    Returns:
        Rows, for the manifest.

    Raises:
        UserError: there is no text, or no item is in both languages.
    """
    table = read_table(inputs["table"])
    name = str(params["name"])
    if name == "mlm":
        rows = [{"id": line, "text": text, "document": ""} for line, text in text_lines(table, params["format"])]
        made = _table(rows, plain_text.FORMAT, params)
    else:
        english = read_table(inputs["english"]) if "english" in inputs else None
        made = _table(*_parallel(name, paired_lines(table, english, params["format"]), params), params)
    if not len(made):
        where = f"{params['dataset']}/{params['language']} {name}"
        raise UserError(
            "there is no text to make it of", where=where, fix="see docs/studies.md for what each objective needs"
        )
    write_table(made, context.out / "table.parquet")
    counts = {"rows": len(made), "read": table.num_rows}
    (context.out / "counts.json").write_text(json.dumps(counts, sort_keys=True) + "\n", encoding="utf-8")
    return counts


def text_lines(table: pa.Table, kind: str) -> Iterator[tuple[str, str]]:
    """(id, text) of every text in a table, a text that comes again left out."""
    seen: set[str] = set()
    format = formats.get(kind)
    columns = format.texts
    for row in table.select(["id", *columns]).to_pylist():
        for column in columns:
            words = format.columns[column] == "words"
            text = " ".join(row[column] or ()) if words else (row[column] or "").strip()
            if text and text not in seen:
                seen.add(text)
                yield (row["id"] if len(columns) == 1 else f"{row['id']}.{column}"), text


def paired_lines(table: pa.Table, english: pa.Table | None, kind: str) -> list[Line]:
    """The lines of a parallel table, or of two tables of the same items joined by id; without empty ones."""
    if english is None:
        documents = "document" in table.column_names
        rows = table.to_pylist()
        found = [
            Line(
                id=row["id"],
                document=row["document"] if documents else row["id"],
                text=row["text"],
                english=row["english"],
            )
            for row in rows
        ]
        return [line for line in found if line.text and line.english]
    here, there = dict(text_lines(table, kind)), dict(text_lines(english, kind))
    # A row is a document of its texts: premise and hypothesis, context and question.
    return [
        Line(id=name, document=name.rpartition(".")[0] or name, text=text, english=there[name])
        for name, text in here.items()
        if name in there
    ]


def _parallel(name: str, lines: list[Line], params: Mapping[str, Any]) -> tuple[list[dict[str, Any]], Format]:
    """Rows and format of an objective on parallel text."""
    if name == "tlm":
        rows = [
            {"id": line.id, "text": line.text, "english": line.english, "document": line.document, "turn": 0}
            for line in lines
        ]
        return rows, parallel_text.FORMAT
    made = [_row(name, chunk, label, coin) for label, chunk, coin in chunks(name, lines, params)]
    return made, plain_text.FORMAT if name in ("monodm", "xdm") else parallel_text.FORMAT


def chunks(name: str, lines: list[Line], params: Mapping[str, Any]) -> Iterator[tuple[str, list[Line], bool]]:
    """(id, lines, whether English comes first) of each chunk, pass after pass until there are enough.

    Passes start from the first line with new lengths, so that chunks of different passes overlap.
    """
    documents = [list(group) for _, group in groupby(lines, key=lambda line: line.document)]
    documents = [document for document in documents if len(document) > 1]
    wanted = params.get("chunks")
    made = 0
    for turn in count() if wanted and documents else (0,):
        for document in documents:
            low = 0
            while len(document) - low > 1:
                draw = random.Random(f"{params['seed']}/{name}/{turn}/{document[low].id}")
                coin = draw.random() < 0.5
                chunk = _cut(document[low : low + draw.randint(*CONTEXT[name]) + 1], WORDS[name], english=coin)
                if len(chunk) > 1:
                    yield f"{turn}:{chunk[0].id}", chunk, coin
                    made += 1
                    if made == wanted:
                        return
                low += len(chunk)


def _cut(lines: list[Line], words: int, *, english: bool) -> list[Line]:
    """The first lines that have no more than so many words on one side; at least one."""
    total = 0
    kept: list[Line] = []
    for line in lines:
        total += len((line.english if english else line.text).split())
        if kept and total > words:
            break
        kept.append(line)
    return kept


def _row(name: str, chunk: Sequence[Line], label: str, english_first: bool) -> dict[str, Any]:
    """The row of a chunk."""
    foreign, english = [line.text for line in chunk], [line.english for line in chunk]
    first, second = (english, foreign) if english_first else (foreign, english)
    head: dict[str, Any] = {"id": label, "document": chunk[0].document}
    if name == "monodm":
        return {**head, "text": " ".join(first)}
    if name == "xdm":
        return {**head, "text": " ".join([*first[:-1], second[-1]])}
    if name == "response":
        return {**head, "text": " ".join(first[:-1]), "english": second[-1], "turn": 0}
    return {**head, "text": " ".join(first), "english": " ".join(second), "turn": 0}


def _table(rows: list[dict[str, Any]], format: Format, params: Mapping[str, Any]) -> pa.Table:
    language = params["language"] if params["name"] == "mlm" else f"{params['language']}+{ENGLISH}"
    whole = [{**row, "language": language, "split": params["split"]} for row in rows]
    return pa.Table.from_pylist(whole, schema=schema_of(format))
