"""Placeholder stages for missing data and models: a study can be planned without them, but not run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xtreme_dag.catalogue.catalogue import Dataset
from xtreme_dag.catalogue.sources import Located
from xtreme_dag.catalogue.sources.folder import own_files
from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.graph import Kind, Stage


class NoSource:
    """A source of data that could not be opened: it has no tables, and its errors say why.

    Args:
        kind: of the source that was asked for.
        error: why it cannot be opened.
    """

    def __init__(self, kind: str, error: UserError) -> None:
        self.kind = kind
        self._error = error

    def locate(self, dataset: Dataset, language: str, split: str) -> Located:
        """Raises: no table is there, unless the dataset has a folder of its own."""
        if (files := own_files(dataset)) is not None:
            return files.locate(dataset, language, split)
        where = f"{dataset.name}, language {language}, split {split}"
        raise UserError(self._error.what, where=where, fix=f"to get it: {dataset.get or 'see docs'}")

    def languages(self, dataset: Dataset, split: str) -> tuple[str, ...]:
        """None, unless the dataset has a folder of its own."""
        if (files := own_files(dataset)) is not None:
            return files.languages(dataset, split)
        dataset.split(split)
        return ()


def absent(kind: Kind, name: str, facts: Mapping[str, Any], error: UserError) -> tuple[Stage, str]:
    """A placeholder stage for a missing table or model, and the reason in one line."""
    reason = f"{error.what}; {error.fix}" if error.fix else error.what
    function = "xtreme_dag.wiring.absent:refuse"
    return Stage(of=kind, name=name, function=function, params={**facts, "absent": reason}, labels=facts), reason


def refuse(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> None:
    """The function of placeholder stages: names what is missing.

    Raises:
        UserError: always.
    """
    raise UserError(
        str(params["absent"]), where=" ".join(str(params[name]) for name in sorted(params) if name != "absent")
    )
