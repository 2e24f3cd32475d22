"""Extractive question answering in SQuAD's JSON: SQuAD 1.1 and 2.0, XQuAD, MLQA, TyDiQA-GoldP, SQuAD-es."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xtreme_dag.data.readers.files import Chunk, Place, content
from xtreme_dag.data.readers.pairs import Files, Options


def read_squad(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """Articles, paragraphs, questions, answers with character offsets.

    Contexts and answers are kept as they are: stripping one and not the other shifts the offsets (a defect of the
    hub's TyDiQA loader).

    `options`: `ids` (path of keys in the JSON of role `ids`): only questions listed there are kept. `exclude:
    context`: questions on a context that role `exclude` has are left out. `derive_ids`: the file's ids repeat
    (TyDiQA), so the running number is appended. `has_answers: false`: the release holds the answers back.
    """
    keep = _listed(files["ids"], options["ids"], place) if "ids" in files else None
    excluded = _contexts(files["exclude"], place) if "exclude" in files else frozenset()
    number = 0
    for role, path in files.items():
        if role in ("ids", "exclude"):
            continue
        columns: dict[str, list[Any]] = {
            name: [] for name in ("id", "title", "context", "question", "answers", "answerable")
        }
        left_out = 0
        for title, context, qa in questions(path, place):
            number += 1
            name = str(_field(qa, "id", path, place))
            if (keep is not None and name not in keep) or context in excluded:
                left_out += 1
                continue
            answers = [
                {"text": _field(answer, "text", path, place), "start": _field(answer, "answer_start", path, place)}
                for answer in qa.get("answers", ())
            ]
            columns["id"].append(f"{name}-{number}" if options.get("derive_ids") else name)
            columns["title"].append(title)
            columns["context"].append(context)
            columns["question"].append(_field(qa, "question", path, place))
            columns["answers"].append(answers)
            columns["answerable"].append(not qa.get("is_impossible", not answers))
        yield Chunk(columns=columns, file=path, left_out=left_out)


def questions(path: Path, place: Place) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(title, context, question record) of every question of a file, in order."""
    for article in articles(path, place):
        for paragraph in _field(article, "paragraphs", path, place):
            context = _field(paragraph, "context", path, place)
            for qa in _field(paragraph, "qas", path, place):
                yield article.get("title", ""), context, qa


def articles(path: Path, place: Place) -> list[dict[str, Any]]:
    """The articles of a file in SQuAD's JSON."""
    try:
        release = json.loads(content(path, place))
    except json.JSONDecodeError as error:
        raise place.error(f"not JSON: {error.msg}", path, error.lineno) from None
    found = _field(release, "data", path, place)
    if not isinstance(found, list):
        raise place.error("'data' is not a list of articles", path)
    return found


def _field(record: Any, name: str, path: Path, place: Place) -> Any:
    if not isinstance(record, dict) or name not in record:
        held = f" (it has {', '.join(record)})" if isinstance(record, dict) else ""
        raise place.error(f"no field {name!r} where SQuAD's JSON has one{held}", path)
    return record[name]


def _listed(path: Path, keys: list[str], place: Place) -> frozenset[str]:
    try:
        found = json.loads(content(path, place))
    except json.JSONDecodeError as error:
        raise place.error(f"not JSON: {error.msg}", path, error.lineno) from None
    for key in keys:
        found = _field(found, key, path, place)
    return frozenset(found)


def _contexts(path: Path, place: Place) -> frozenset[str]:
    return frozenset(context for _, context, _ in questions(path, place))
