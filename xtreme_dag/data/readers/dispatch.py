"""Which function reads what; names of readers are those of the catalogue's layouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError
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


def read(reader: str, files: Mapping[str, Path], options: Mapping[str, Any], place: Place) -> Iterator[Chunk]:
    """The chunks of a raw file or files.

    Raises:
        UserError: a mistake in a file, or no such reader.
    """
    match reader:
        case "pairs":
            return read_pairs(files, options, place)
        case "pairs_named" | "pairs_language":
            return read_pairs_named(files, options, place)
        case "pairs_csv":
            return read_pairs_csv(files, options, place)
        case "pairs_jsonl":
            return read_pairs_jsonl(files, options, place)
        case "pairs_lines":
            return read_pairs_lines(files, options, place)
        case "choices_jsonl":
            return read_choices_jsonl(files, options, place)
        case "choices_csv":
            return read_choices_csv(files, options, place)
        case "choices_lines":
            return read_choices_lines(files, options, place)
        case "copa_xml":
            return read_copa_xml(files, options, place)
        case "tags":
            return read_tags(files, options, place)
        case "conllu":
            return read_conllu(files, options, place)
        case "ccg":
            return read_ccg(files, options, place)
        case "squad":
            return read_squad(files, options, place)
        case "squad_retrieval":
            return read_squad_retrieval(files, options, place)
        case "lareqa":
            return read_lareqa(files, options, place)
        case "bucc":
            return read_bucc(files, options, place)
        case "mewslix":
            return read_mewslix(files, options, place)
        case "mewslix_pairs":
            return read_mewslix_pairs(files, options, place)
        case "parallel_lines":
            return read_parallel_lines(files, options, place)
        case "parallel_documents":
            return read_parallel_documents(files, options, place)
        case "plain":
            return read_plain(files, options, place)
    raise UserError(f"no reader {reader!r}", where=f"dataset {place.dataset}")
