"""Text in lines: parallel sentences, parallel documents, plain text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from xtreme_dag.data.readers.files import Chunk, Place, lines
from xtreme_dag.data.readers.pairs import ROWS, Files, Options


def read_parallel_lines(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """Two files with one line each for a sentence and its translation: roles `text` and `english`."""
    text, english = _both(files, place)
    for start in range(0, len(text), ROWS):
        columns = {"text": text[start : start + ROWS], "english": english[start : start + ROWS]}
        yield Chunk(columns=columns, file=files["text"], lines=range(start + 1, start + 1 + len(columns["text"])))


def read_parallel_documents(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """The same with document order: a line that is empty in both files ends a document; `turn` counts within it."""
    text, english = _both(files, place)
    columns: dict[str, list[str] | list[int]] = {"text": [], "english": [], "document": [], "turn": []}
    at: list[int] = []
    document = turn = 0
    for number, (foreign, pivot) in enumerate(zip(text, english, strict=True), start=1):
        if not foreign and not pivot:
            document, turn = document + (turn > 0), 0
            continue
        for name, value in (("text", foreign), ("english", pivot), ("document", str(document)), ("turn", turn)):
            columns[name].append(value)  # type: ignore[arg-type]
        at.append(number)
        turn += 1
    yield Chunk(columns=columns, file=files["text"], lines=at)


def read_plain(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """One sentence or paragraph a line; an empty line ends a document, so does the end of a file."""
    document = 0
    for path in files.values():
        begun = False
        for first, found in lines(path, place):
            text, documents, at = [], [], []
            for number, line in enumerate(found, start=first):
                if line.strip():
                    text.append(line.strip())
                    documents.append(str(document))
                    at.append(number)
                    begun = True
                elif begun:
                    document, begun = document + 1, False
            yield Chunk(columns={"text": text, "document": documents}, file=path, lines=at)
        document += begun


def _both(files: Files, place: Place) -> tuple[list[str], list[str]]:
    text, english = _stripped(files["text"], place), _stripped(files["english"], place)
    if len(text) != len(english):
        raise place.error(f"{len(text)} lines for {len(english)} in {files['english'].name}", files["text"])
    return text, english


def _stripped(path: Path, place: Place) -> list[str]:
    return [line.strip() for _, found in lines(path, place) for line in found]
