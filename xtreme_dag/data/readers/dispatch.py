"""Which function reads what; names of readers are those of the catalogue's layouts."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from xtreme_dag.catalogue.sources.base import OWN_READERS
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.data.readers import choices, dialogues, pairs, parallel, retrieval, squad, tags
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
    "woz": dialogues.read_woz,
    "multiwoz": dialogues.read_multiwoz,
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
    if OWN_READERS in files:
        function = _own(reader, files[OWN_READERS], place)
        files = {name: path for name, path in files.items() if name != OWN_READERS}
    elif reader in READERS:
        function = READERS[reader]
    else:
        raise UserError(f"no reader {reader!r}", where=f"dataset {place.dataset}", fix=nearest(reader, READERS))
    return _typed(function(files, options, place), reader, files, place)


def _own(reader: str, path: Path, place: Place) -> pairs.Reader:
    """A function of the user's own `readers.py`; its file is among the inputs of the stage, so its text is in the key."""
    spec = spec_from_file_location(f"readers_of_{place.dataset}", path)
    assert spec is not None and spec.loader is not None  # the file's name ends in .py
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"cannot be imported: {type(error).__name__}: {error}", where=str(path)) from error
    function: pairs.Reader = getattr(module, reader.removeprefix("readers."))
    return function


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
