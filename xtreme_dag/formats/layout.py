"""Read files of the XTREME folder layout, `<task>/test-<language>.<suffix>`, as evaluate.py does, and write them.

Lines end at any kind of line break, white space around them does not count, and a file's last line may lack its break.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import read_regular

T = TypeVar("T")
_LARGEST = 1 << 30  # bytes; the largest file of the layout, tags of a language, has a few MB


class Unlabelled(ValueError):
    """A label is missing."""


def known(values: Sequence[T | None]) -> list[T]:
    """The values, all of which must be there.

    Raises:
        Unlabelled: one is missing.
    """
    found = [value for value in values if value is not None]
    if len(found) < len(values):
        raise Unlabelled
    return found


def as_lines(lines: Iterable[str]) -> str:
    """The text of a file of lines."""
    return "".join(f"{line}\n" for line in lines)


def as_json(content: Mapping[str, Any]) -> str:
    """The text of a file with one JSON object."""
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        return read_regular(path, _LARGEST)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from None


def read_text(path: Path) -> str:
    """The text of a file, with every kind of line break as "\\n".

    Raises:
        UserError: the file cannot be read, or is not UTF-8.
    """
    try:
        text = read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"byte {error.start} is not UTF-8", where=str(path), fix="save the file as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def read_lines(path: Path) -> list[str]:
    """Stripped lines; blank ones count."""
    lines = read_text(path).split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.strip() for line in lines]


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
