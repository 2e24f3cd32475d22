"""Which function reads what; names of readers are those of the catalogue's layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.data.readers.choices import read_choices_csv, read_choices_jsonl, read_choices_lines, read_copa_xml
from xtreme_dag.data.readers.files import Chunk, Place
from xtreme_dag.data.readers.pairs import (
    read_pairs,
    read_pairs_csv,
    read_pairs_jsonl,
    read_pairs_lines,
    read_pairs_named,
)
from xtreme_dag.data.readers.parallel import read_parallel_documents, read_parallel_lines, read_plain
from xtreme_dag.data.readers.retrieval import (
    read_bucc,
    read_lareqa,
    read_mewslix,
    read_mewslix_pairs,
    read_squad_retrieval,
)
from xtreme_dag.data.readers.squad import read_squad
from xtreme_dag.data.readers.tags import read_ccg, read_conllu, read_tags

Reader = Callable[[Mapping[str, Path], Mapping[str, Any], Place], Iterator[Chunk]]

READERS: dict[str, Reader] = {
    "pairs": read_pairs,
    "pairs_named": read_pairs_named,
    "pairs_language": read_pairs_named,
    "pairs_csv": read_pairs_csv,
    "pairs_jsonl": read_pairs_jsonl,
    "pairs_lines": read_pairs_lines,
    "choices_jsonl": read_choices_jsonl,
    "choices_csv": read_choices_csv,
    "choices_lines": read_choices_lines,
    "copa_xml": read_copa_xml,
    "tags": read_tags,
    "conllu": read_conllu,
    "ccg": read_ccg,
    "squad": read_squad,
    "squad_retrieval": read_squad_retrieval,
    "lareqa": read_lareqa,
    "bucc": read_bucc,
    "mewslix": read_mewslix,
    "mewslix_pairs": read_mewslix_pairs,
    "parallel_lines": read_parallel_lines,
    "parallel_documents": read_parallel_documents,
    "plain": read_plain,
}
"""Name of a reader -> the function; it yields the columns that its format declares (`formats.Format.columns`)."""


def read(reader: str, files: Mapping[str, Path], options: Mapping[str, Any], place: Place) -> Iterator[Chunk]:
    """The chunks of a raw file or files.

    Raises:
        UserError: a mistake in a file, or no such reader.
    """
    if reader not in READERS:
        raise UserError(f"no reader {reader!r}", where=f"dataset {place.dataset}", fix=nearest(reader, READERS))
    return READERS[reader](files, options, place)
