"""Extractive question answering in SQuAD's JSON: SQuAD 1.1 and 2.0, XQuAD, MLQA, TyDiQA-GoldP, SQuAD-es."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xtreme_dag.data.readers.files import Chunk, Place, content
from xtreme_dag.data.readers.pairs import Files, Options

LONGEST_CONTEXT = 1 << 20  # characters; the longest paragraph of a release has some ten thousand


def read_squad(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """Articles, paragraphs, questions, answers with character offsets.

    Contexts and answers are kept as they are: stripping one and not the other shifts the offsets (a defect of the
    hub's TyDiQA loader).

    `options`: `ids` (path of keys in the JSON of role `ids`): only questions listed there are kept. `exclude:
    context`: questions on a context that role `exclude` has are left out. `derive_ids`: the file's ids repeat
    (TyDiQA), so the running number is appended. `id_prefix`: only questions whose id begins so are
    read (TyDiQA-GoldP as released holds nine languages). `drop_blank`: answers without text at offset -1 are left out
    (SQuAD-es).
    """
    keep = listed(files["ids"], options["ids"], place) if "ids" in files else None
    excluded = contexts(files["exclude"], place) if "exclude" in files else frozenset()
    prefix = options.get("id_prefix", "")
    number = 0
    for role, path in files.items():
        if role in ("ids", "exclude"):
            continue
        columns: dict[str, list[Any]] = {
            name: [] for name in ("id", "title", "context", "question", "answers", "answerable")
        }
        begun = number
        for title, context, qa in questions(path, place):
            number += 1
            name = str(need(qa, "id", path, place))
            if not name.startswith(prefix):
                begun += 1
                continue
            if (keep is not None and name not in keep) or context in excluded:
                continue
            answers = [
                {"text": need(answer, "text", path, place), "start": need(answer, "answer_start", path, place)}
                for answer in qa.get("answers", ())
            ]
            if options.get("drop_blank"):
                answers = [answer for answer in answers if answer["text"] or answer["start"] != -1]
            columns["id"].append(f"{name}-{number}" if options.get("derive_ids") else name)
            columns["title"].append(title)
            columns["context"].append(context)
            columns["question"].append(need(qa, "question", path, place))
            columns["answers"].append(answers)
            columns["answerable"].append(not qa.get("is_impossible", not answers))
        yield Chunk(columns=columns, file=path, read=number - begun)


def questions(path: Path, place: Place) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(title, context, question record) of every question of a file, in order."""
    for article in articles(path, place):
        for paragraph in need(article, "paragraphs", path, place):
            for qa in need(paragraph, "qas", path, place):
                yield article.get("title", ""), context_of(paragraph, path, place), qa


def context_of(paragraph: dict[str, Any], path: Path, place: Place) -> str:
    """The context of a paragraph.

    Raises:
        UserError: there is none, it is not text, or it is longer than `LONGEST_CONTEXT`.
    """
    context = need(paragraph, "context", path, place)
    if not isinstance(context, str):
        raise place.error("a context that is not text", path)
    if len(context) > LONGEST_CONTEXT:
        raise place.error(f"a context of {len(context):,} characters", path)
    return context


def articles(path: Path, place: Place) -> list[dict[str, Any]]:
    """The articles of a file in SQuAD's JSON."""
    found = need(_parsed(path, place), "data", path, place)
    if not isinstance(found, list):
        raise place.error("'data' is not a list of articles", path)
    return found


def need(record: Any, name: str, path: Path, place: Place) -> Any:
    """A field that must be there.

    Raises:
        UserError: it is not.
    """
    if not isinstance(record, dict) or name not in record:
        held = f" (it has {', '.join(record)})" if isinstance(record, dict) else ""
        raise place.error(f"no field {name!r} where SQuAD's JSON has one{held}", path)
    return record[name]


def listed(path: Path, keys: list[str], place: Place) -> frozenset[str]:
    """The ids that a JSON file lists under some keys."""
    found = _parsed(path, place)
    for key in keys:
        found = need(found, key, path, place)
    return frozenset(found)


def _parsed(path: Path, place: Place) -> Any:
    try:
        return json.loads(content(path, place, mark=b'"'))
    except (ValueError, RecursionError) as error:
        raise place.error(f"not JSON: {error}", path, getattr(error, "lineno", 0)) from None


def contexts(path: Path, place: Place) -> frozenset[str]:
    """The contexts of a file in SQuAD's JSON."""
    return frozenset(context for _, context, _ in questions(path, place))
