"""Where a study's data come from: one source, caps on rows, and overlaps that are allowed with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from xtreme_dag.study.sections import NUMBER, Positive, Section

_TABLE = r"^[^/\s]+/[^/\s]+/[^/\s]+$"


class Miniworld(Section):
    """The embedded source: generated languages with known truth.

    Attributes:
        seed: of the generator.
        languages: the codes that are made; all of them where it is empty.
        train: rows of a training table.
        select: rows of a table for selection.
        test: rows of a test table.
    """

    seed: Annotated[int, NUMBER, Field(ge=0, lt=2**63)] = 7
    languages: tuple[str, ...] = ()
    train: Positive = 4000
    select: Positive = 200
    test: Positive = 300


class Limits(Section):
    """Caps on rows per language, so that a study fits its machine; a limited table is a fixed sample.

    Attributes:
        train: rows of a training table at most.
        select: rows of a table for selection at most.
        test: rows of a test table at most.
        datasets: dataset -> its own caps, by split or by `train`, `select`, `test`.
    """

    train: Positive | None = None
    select: Positive | None = None
    test: Positive | None = None
    datasets: Mapping[str, Mapping[str, Positive]] = Field(default_factory=dict)

    def of(self, dataset: str, use: str, split: str) -> int | None:
        """The cap of a dataset's split: the dataset's own (by split or by use), else that of its use."""
        own = self.datasets.get(dataset, {})
        cap = own.get(split, own.get(use))
        return cap if cap is not None else getattr(self, use, None)


class Overlap(Section):
    """Tables that may have examples in common: `dataset/language/split`, each part a name or a pattern with `*`.

    Attributes:
        seen: what is trained or selected on.
        tested: what is tested on, or selected on and must be new to what is trained.
        reason: why the overlap is no leak, in ten characters or more; it is in the report.
    """

    seen: Annotated[str, Field(pattern=_TABLE)]
    tested: Annotated[str, Field(pattern=_TABLE)]
    reason: Annotated[str, Field(min_length=10)]

    def holds(self, seen: str, tested: str) -> bool:
        """Whether it speaks of two tables."""
        return fnmatchcase(seen, self.seen) and fnmatchcase(tested, self.tested)


class Data(Section):
    """Where raw data come from: exactly one of folders (`folder`, `folders`), `hub`, `miniworld`, `own`.

    Attributes:
        folder: release files, or what XTREME's script downloads.
        folders: a list, searched in order after `folder`, or dataset -> folder.
        own: nothing but datasets of the user's own catalogue, whose entries say where their files lie; those are read
            there whatever the source is.
        hub: the Hugging Face hub; dataset -> `id`, `revision`, `config`, columns in place of the catalogue's.
        miniworld: generated languages, no data needed.
        limit: caps on rows per language.
        contracts: whether tables are checked against their contracts before anything trains on them.
        allow_overlap: what training and test data may have in common, with a reason.
    """

    folder: str | None = None
    folders: tuple[str, ...] | Mapping[str, str] = ()
    own: Literal[True] | None = None
    hub: Mapping[str, Any] | None = None
    miniworld: Miniworld | None = None
    limit: Limits = Limits()
    contracts: bool = True
    allow_overlap: tuple[Overlap, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if value == "miniworld":
            return {"miniworld": {}}
        if value == "hub":
            return {"hub": {}}
        if value == "own":
            return {"own": True}
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        given = self._given()
        if len(given) != 1:
            raise ValueError(f"name one source: folder, hub, miniworld or own (given: {', '.join(given) or 'none'})")
        return self

    def _given(self) -> list[str]:
        folders = ["folder"] if self.folder is not None or self.folders else []
        return folders + [name for name in ("hub", "miniworld", "own") if getattr(self, name) is not None]

    @property
    def source(self) -> str:
        """Kind of the source."""
        return self._given()[0]
