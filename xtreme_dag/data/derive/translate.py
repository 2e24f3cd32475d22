"""The `translate` stages: an English table in another language, or a test in English; what was lost is counted.

Ids stay, so a translation has the items of its original. Labels stay. Answers of questions are found again in the
translated text; a question whose only answers are lost is left out, and counted.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from xtreme_dag import formats
from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError
from xtreme_dag.data.derive.losses import Losses, Translate, translated_once
from xtreme_dag.tables.canonical import SCHEMAS, read_table, write_table


def translate_by_lexicon(
    params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext
) -> Mapping[str, Any]:
    """Translates a miniworld table word by word: each word's stem and suffixes by the lexicon, in the source's order.

    Args:
        params: `format`; `language` of the rows, into which English is translated, or from which `into` another, where
            that is given; `rows`, how many at most (a sample by id), or null; `declared`, what the format says, for the
            key.
        inputs: `table`, a canonical table, English if there is no `into`.
        context: `out` receives `table.parquet`, `counts.json` and `translation.json` (losses and their ids).

    Returns:
        Rows and losses, for the manifest.

    Raises:
        UserError: the format cannot be translated.
    """
    from xtreme_dag.data.derive.translate_lexicon import Lexicon

    language, into = str(params["language"]), params.get("into")
    lexicon = Lexicon(str(into), source=language) if into else Lexicon(language)
    table = sampled(read_table(inputs["table"]), params.get("rows"))
    losses = Losses()
    kind = str(params["format"])
    if _follows(kind) == "words":
        rows = lexicon.sentences(table.to_pylist())
    elif _follows(kind) == "answers":
        rows = lexicon.questions(table.to_pylist(), losses)
    else:
        rows = plain_rows(table.to_pylist(), kind, lexicon.texts)
    return write_translation(rows, table, params, losses, context, {"unknown_words": lexicon.unknown})


def translate_by_model(
    params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext
) -> Mapping[str, Any]:
    """Translates a table with a sequence-to-sequence model.

    Args:
        params: `format`, `language`, `into` and `rows` as for `translate_by_lexicon`; `beams`; `max_length` of a
            translation in tokens; `code`, the first token of a translation, and `reads`, the name that the tokenizer has
            for the language that it reads, for models that need them.
        inputs: `table`, a canonical table; `model`, a folder that transformers reads.
        context: as for `translate_by_lexicon`; `options`: `device`.

    Returns:
        Rows and losses, for the manifest.

    Raises:
        UserError: the format cannot be translated, or the folder holds no such model.
    """
    from xtreme_dag.data.derive.translate_model import open_translator
    from xtreme_dag.data.derive.translate_spans import answered_rows

    odd: Counter[str] = Counter()
    translate = open_translator(
        inputs["model"],
        beams=int(params["beams"]),
        max_length=int(params["max_length"]),
        code=params.get("code"),
        reads=params.get("reads"),
        device=str(context.options.get("device", "cpu")),
        log=context.log,
        odd=odd,
    )
    table = sampled(read_table(inputs["table"]), params.get("rows"))
    losses = Losses()
    kind = str(params["format"])
    if _follows(kind) == "answers":
        rows = answered_rows(table.to_pylist(), translate, losses)
    else:
        rows = plain_rows(table.to_pylist(), kind, translate)
    return write_translation(rows, table, params, losses, context, odd)


def sampled(table: pa.Table, rows: int | None) -> pa.Table:
    """At most so many rows, in the table's order; which ones depends on their ids alone."""
    if rows is None or len(table) <= rows:
        return table
    names = table["id"].to_pylist()
    order = sorted(range(len(names)), key=lambda row: hashlib.blake2b(names[row].encode(), digest_size=8).digest())
    return table.take(pa.array(sorted(order[:rows])))


def _follows(kind: str) -> str:
    translation = formats.get(kind).translation
    return translation.follows if translation else ""


def plain_rows(rows: list[dict[str, Any]], kind: str, translate: Translate) -> list[dict[str, Any]]:
    """Rows with every text translated; labels are untouched, each text is translated once.

    Raises:
        UserError: the format cannot be translated so.
    """
    format = formats.get(kind)
    translation = format.translation
    if translation is None or translation.follows:
        able = ", ".join(name for name, each in formats.FORMATS.items() if each.translation)
        raise UserError(f"a table of format {kind} cannot be translated", fix=f"formats that can: {able}")
    lists = [name for name in translation.texts if format.columns[name] != "string"]
    single = [name for name in translation.texts if name not in lists]
    texts = dict.fromkeys(row[name] for row in rows for name in single if row[name])
    texts |= dict.fromkeys(text for row in rows for name in lists for text in row[name])
    found = translated_once(list(texts), translate)
    return [
        {**row, **{name: found.get(row[name], row[name]) for name in single},
         **{name: [found[text] for text in row[name]] for name in lists}}
        for row in rows
    ]  # fmt: skip


def write_translation(
    rows: list[dict[str, Any]],
    table: pa.Table,
    params: Mapping[str, Any],
    losses: Losses,
    context: StageContext,
    more: Mapping[str, int],
) -> Mapping[str, Any]:
    """Writes the artifact; says how many examples were lost and why."""
    language = str(params["language"])
    made = pa.Table.from_pylist([{**row, "language": language} for row in rows], schema=SCHEMAS[params["format"]])
    write_table(made, context.out / "table.parquet")
    lost = {reason: len(names) for reason, names in sorted(losses.reasons.items())}
    counts = {"rows": len(rows), "read": table.num_rows, "lost": sum(lost.values())}
    report = {**counts, "lost_because": lost, "lost_ids": dict(sorted(losses.reasons.items())), **more}
    for name, content in (("counts.json", counts), ("translation.json", report)):
        text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)
        (context.out / name).write_text(text + "\n", encoding="utf-8")
    if lost:
        context.log(f"{sum(lost.values())} of {table.num_rows} examples were lost in translation: {lost}")
    return {**counts, **more}
