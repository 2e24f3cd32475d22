"""The files of the XTREME folder layout, `<task>/test-<language>.<suffix>`, read as evaluate.py reads them.

Lines end at any kind of line break, white space around them does not count, and a file's last line may lack its break.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xtreme_dag.core.errors import UserError

SUFFIXES: Mapping[str, str] = {
    "pair_classification": "tsv",
    "multiple_choice": "jsonl",
    "tagging": "tsv",
    "span_qa": "json",
    "parallel": "tsv",
    "bitext_mining": "tsv",
    "qa_retrieval": "json",
    "entity_linking": "json",
}
"""Format of a task's dataset -> suffix of its files."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question of a SQuAD-format file: its id and its gold answers."""

    id: str
    answers: tuple[str, ...]


def file_name(language: str, suffix: str) -> str:
    """The name of a prediction or label file."""
    return f"test-{language}.{suffix}"


def read_text(path: Path) -> str:
    """The text of a file, with every kind of line break as "\\n".

    Raises:
        UserError: the file cannot be read, or is not UTF-8.
    """
    try:
        text = _read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"byte {error.start} is not UTF-8", where=str(path), fix="save the file as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from None


def read_lines(path: Path) -> list[str]:
    """Stripped lines; blank ones count."""
    lines = read_text(path).split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.strip() for line in lines]


def read_sentences(path: Path) -> list[list[str]]:
    """Tags, one per line, a blank line after each sentence; two blank lines in a row give an empty sentence."""
    sentences: list[list[str]] = []
    sentence: list[str] = []
    # Equal tags become one object: a file has few kinds of tags and many tags.
    tags: dict[str, str] = {}
    for line in read_lines(path):
        if line:
            sentence.append(tags.setdefault(line, line))
        else:
            sentences.append(sentence)
            sentence = []
    if sentence:
        sentences.append(sentence)
    return sentences


def read_tag_lines(path: Path) -> bytes | None:
    """A tag file as it stands, with a line break and a blank line at its end if they were lacking.

    Returns:
        The text; None where lines would have to be stripped, or are not ASCII: `read_sentences` can read those.

    Raises:
        UserError: the file cannot be read.
    """
    text = _read_bytes(path)
    if not text.isascii():
        return None
    characters = np.frombuffer(text, dtype=np.uint8)
    line_breaks = np.count_nonzero(characters == ord("\n"))
    if np.count_nonzero(characters <= ord(" ")) > line_breaks:
        return None
    if text and not text.endswith(b"\n"):
        text += b"\n"
    return text if text in (b"", b"\n") or text.endswith(b"\n\n") else text + b"\n"


def read_pairs(path: Path) -> list[tuple[str, ...]]:
    """Ids with tabs between them, one pair per line; duplicates and malformed lines are left in."""
    return [tuple(line.split("\t")) for line in read_lines(path)]


def read_choices(path: Path) -> list[Hashable]:
    """The `label` of each line's JSON object.

    Raises:
        UserError: a line is not an object with a label.
    """
    labels: list[Hashable] = []
    for number, line in enumerate(read_lines(path), start=1):
        try:
            label = json.loads(line)["label"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise UserError(
                f"line {number} is not a JSON object with a label", where=str(path), fix='write lines like {"label": 0}'
            ) from None
        if not isinstance(label, Hashable):
            raise UserError(f"the label of line {number} is not a number or a text", where=str(path))
        labels.append(label)
    return labels


def read_json(path: Path) -> tuple[Any, list[str]]:
    """A JSON file and the keys that some object in it has twice, of which the last counts.

    Raises:
        UserError: not JSON.
    """
    twice: list[str] = []

    def pairs(items: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            times = Counter(key for key, _ in items)
            twice.extend(sorted(key for key, count in times.items() if count > 1))
        return found

    text = read_text(path)
    if not text.strip():
        raise UserError("the file is empty", where=str(path), fix="it is to hold a JSON object")
    try:
        return json.loads(text, object_pairs_hook=pairs), twice
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON: {error}", where=str(path), fix="it is to hold one JSON object") from None


def read_mapping(path: Path) -> tuple[dict[str, Any], list[str]]:
    """A JSON object of ids, perhaps under the key `data`, and the ids that it has twice.

    Raises:
        UserError: not a JSON object.
    """
    content, twice = read_json(path)
    if isinstance(content, dict):
        content = content.get("data", content)
    if not isinstance(content, dict):
        raise UserError("not a JSON object with ids as keys", where=str(path), fix='write {"id": prediction, ...}')
    return content, twice


def _is_text(question: Question) -> bool:
    return all(isinstance(text, str) for text in (question.id, *question.answers))


def read_questions(path: Path) -> list[Question]:
    """The questions of a SQuAD-format file, in order.

    Raises:
        UserError: not of that format, or a question without a gold answer.
    """
    content, _ = read_json(path)
    articles = content.get("data", content) if isinstance(content, dict) else content
    try:
        questions = [
            Question(id=qa["id"], answers=tuple(answer["text"] for answer in qa["answers"]))
            for article in articles
            for paragraph in article["paragraphs"]
            for qa in paragraph["qas"]
        ]
    except (KeyError, TypeError) as error:
        lacks = f", {error} is missing" if isinstance(error, KeyError) else ""
        raise UserError(
            f"not labels of SQuAD format{lacks}",
            where=str(path),
            fix="labels are the release's own file (data, paragraphs, qas, answers); were the two folders swapped?",
        ) from None
    odd = next((question for question in questions if not _is_text(question)), None)
    if odd is not None:
        raise UserError(f"question {odd.id!r} has an id or an answer that is not a text", where=str(path))
    bare = next((question for question in questions if not question.answers), None)
    if bare is not None:
        raise UserError(f"question {bare.id!r} has no gold answer", where=str(path), fix="use the labelled release")
    return questions
