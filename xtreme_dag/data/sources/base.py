"""What every source can say about a table, before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from xtreme_dag.benchmark.catalogue import Dataset


@dataclass(frozen=True, kw_only=True)
class Located:
    """Where one table (dataset, language, split) is, and how to read it.

    Attributes:
        files: name -> raw file; the inputs of the prepare stage, so their content is in its key.
        params: JSON values for the prepare stage: the reader and what it needs to know; in its key.
        stand_in: what the table really is where it only stands in for the split, else None.
        notes: what is known to be amiss, or "".
        options: settings that cannot change the result (a cache folder); not in the key.
    """

    files: Mapping[str, Path]
    params: Mapping[str, Any]
    stand_in: str | None = None
    notes: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


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
