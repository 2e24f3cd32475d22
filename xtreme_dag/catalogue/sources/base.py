"""The interface of data sources: where a table is and how to read it, found without reading it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from xtreme_dag.catalogue.catalogue import Dataset, Split, load_catalogue
from xtreme_dag.catalogue.languages import languages

OWN_READERS = "@readers"  # the name under which the user's own `readers.py` is among the files of a table


@dataclass(frozen=True, kw_only=True)
class Located:
    """Where one table (dataset, language, split) is, and how to read it.

    Attributes:
        files: name -> raw file; the inputs of the prepare stage, so their content is in its key.
        params: JSON values for the prepare stage: the reader and what it needs to know; in its key.
        stand_in: what the table really is where it only stands in for the split, else None.
        notes: known defects, or "".
        options: settings that cannot change the result (a cache folder); not in the key.
    """

    files: Mapping[str, Path]
    params: Mapping[str, Any]
    stand_in: str | None = None
    notes: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def filled(pattern: str, language: str) -> str:
    """A pattern of a path or a configuration with the codes and the name of a language filled in."""
    if "{" not in pattern:
        return pattern
    known = languages()[language]
    return pattern.format(language=language, laser=known.laser, name=known.name.lower(), Name=known.name)


def reading(reader: str, options: Mapping[str, Any], split: Split, language: str, *, whole: bool) -> dict[str, Any]:
    """Parameters of the prepare stage: the reader, what it needs to know, and what is known of the table."""
    script = languages()[language].script or None
    return {"reader": reader, "options": options, "script": script, "labelled": split.labelled, "whole": whole}


class Source(Protocol):
    """A place that tables come from."""

    @property
    def kind(self) -> str:
        """`folder`, `hub` or `miniworld`."""
        ...

    def locate(self, dataset: Dataset, language: str, split: str) -> Located:
        """Where a table is.

        Raises:
            UserError: it is not there; says where it was looked for and how to get it.
        """
        ...

    def languages(self, dataset: Dataset, split: str) -> tuple[str, ...]:
        """The languages of a split that are there, in the catalogue's order."""
        ...


def locate_union(source: Source, language: str, split: Split) -> Located:
    """Where the parts of a union are: the parts' files under their number, and the parts' params in order.

    Raises:
        UserError: a part is not there.
    """
    files: dict[str, Path] = {}
    parts: list[dict[str, Any]] = []
    stand_ins: list[str] = []
    options: dict[str, Any] = {}
    for number, ref in enumerate(split.union):
        part = source.locate(load_catalogue().dataset(ref.dataset), language, ref.split)
        files |= {f"{number}.{name}": path for name, path in part.files.items()}
        parts.append({"dataset": ref.dataset, "split": ref.split, **part.params})
        stand_ins += [f"{ref.dataset}: {part.stand_in}"] if part.stand_in else []
        options |= part.options
    whole = all(part["whole"] for part in parts)
    params = reading("union", {"parts": parts}, split, language, whole=whole)
    return Located(files=files, params=params, stand_in="; ".join(stand_ins) or None, options=options)


def union_languages(source: Source, split: Split) -> tuple[str, ...]:
    """The languages in which every part of a union is there."""
    there = [source.languages(load_catalogue().dataset(ref.dataset), ref.split) for ref in split.union]
    return tuple(code for code in split.languages if all(code in codes for codes in there))
