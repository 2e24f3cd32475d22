"""Which function reads what; names of readers are those of the catalogue's layouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.data.readers import choices, pairs, parallel, retrieval, squad, tags
from xtreme_dag.data.readers.files import Chunk, Place

READERS: dict[str, pairs.Reader] = {
    "pairs": pairs.read_pairs,
    "pairs_named": pairs.read_pairs_named,
    "pairs_language": pairs.read_pairs_named,
    "pairs_csv": pairs.read_pairs_csv,
    "pairs_jsonl": pairs.read_pairs_jsonl,
    "pairs_lines": pairs.read_pairs_lines,
    "choices_jsonl": choices.read_choices_jsonl,
    "choices_csv": choices.read_choices_csv,
    "choices_lines": choices.read_choices_lines,
    "copa_xml": choices.read_copa_xml,
    "tags": tags.read_tags,
    "conllu": tags.read_conllu,
    "ccg": tags.read_ccg,
    "squad": squad.read_squad,
    "squad_retrieval": retrieval.read_squad_retrieval,
    "lareqa": retrieval.read_lareqa,
    "bucc": retrieval.read_bucc,
    "mewslix": retrieval.read_mewslix,
    "mewslix_pairs": retrieval.read_mewslix_pairs,
    "parallel_lines": parallel.read_parallel_lines,
    "parallel_documents": parallel.read_parallel_documents,
    "plain": parallel.read_plain,
}
"""Name of a reader -> the function; it yields the columns that the format declares (`formats.Format.columns`)."""


def read(reader: str, files: Mapping[str, Path], options: Mapping[str, Any], place: Place) -> Iterator[Chunk]:
    """The chunks of a raw file or files.

    Raises:
        UserError: a mistake in a file, or no such reader.
    """
    if reader not in READERS:
        raise UserError(f"no reader {reader!r}", where=f"dataset {place.dataset}", fix=nearest(reader, READERS))
    return _typed(READERS[reader](files, options, place), reader, files, place)


def _typed(chunks: Iterator[Chunk], reader: str, files: Mapping[str, Path], place: Place) -> Iterator[Chunk]:
    """The chunks of a reader; a value of another type than the release has is a mistake in a file, not in the reader.

    JSON can have any type anywhere: a reader that asked for each before it uses it would be mostly questions.
    """
    try:
        yield from chunks
    except (TypeError, AttributeError, KeyError, IndexError, ValueError, OverflowError, RecursionError) as error:
        first, *others = files.values()
        more = f" (or {', '.join(path.name for path in others)})" if others else ""
        what = f"{type(error).__name__}: {error}"
        raise place.error(f"not of the form that the reader {reader!r} expects{more}: {what}", first) from error
