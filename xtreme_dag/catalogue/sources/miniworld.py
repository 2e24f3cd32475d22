"""The miniworld as a source: every dataset of the catalogue, generated in invented languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xtreme_dag import formats
from xtreme_dag.catalogue.catalogue import Dataset
from xtreme_dag.catalogue.languages import languages
from xtreme_dag.catalogue.miniworld_languages import LANGUAGES
from xtreme_dag.catalogue.sources.base import Located
from xtreme_dag.catalogue.sources.folder import own_files
from xtreme_dag.core.english import ENGLISH
from xtreme_dag.core.errors import UserError, nearest

ROWS = {"train": 4000, "select": 400, "test": 400}


class MiniworldSource:
    """Generated data with known truth; nothing is read or downloaded.

    Args:
        seed: of the generator.
        rows: split name or use (`train`, `select`, `test`) -> rows a language; the split's name wins.
        languages: codes of miniworld languages; all of them by default.

    Raises:
        UserError: an unknown language.
    """

    kind = "miniworld"

    def __init__(
        self, seed: int = 0, rows: Mapping[str, int] | None = None, languages: Sequence[str] | None = None
    ) -> None:
        self.seed = seed
        self.rows = {**ROWS, **(rows or {})}
        known = [language.code for language in LANGUAGES]
        for code in languages or ():
            if code not in known:
                raise UserError(f"no miniworld language {code!r}", where="source miniworld", fix=nearest(code, known))
        self.codes = tuple(languages or known)

    def locate(self, dataset: Dataset, language: str, split: str) -> Located:
        """What the generator needs to know to make a table."""
        if (files := own_files(dataset)) is not None:
            return files.locate(dataset, language, split)
        declared = dataset.split(split)
        if language not in self.languages(dataset, split):
            there = " ".join(self.languages(dataset, split))
            where = f"{dataset.name}, language {language}, split {split}"
            real = "; real data have another source: folder:PATH or hub" if language in languages() else ""
            raise UserError(f"the miniworld has no {language!r} here", where=where, fix=f"it has: {there}{real}")
        rows, most = self.rows.get(split, self.rows[declared.use]), formats.get(dataset.format).generated
        rows = rows if most is None else min(rows, most)
        params = {"reader": "miniworld", "options": {"seed": self.seed, "rows": rows}, "labelled": True, "whole": False}
        return Located(files={}, params=params)

    def languages(self, dataset: Dataset, split: str) -> tuple[str, ...]:
        """The languages in which a split can be made."""
        if (files := own_files(dataset)) is not None:
            return files.languages(dataset, split)
        dataset.split(split)
        paired = formats.get(dataset.format).against_english
        return tuple(code for code in self.codes if code != ENGLISH or not paired)
