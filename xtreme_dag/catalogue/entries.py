"""Entries of the catalogue: datasets with their splits, and target tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xtreme_dag.core.errors import UserError, nearest


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One way in which a split lies in a folder.

    Attributes:
        reader: name of the reader (`xtreme_dag.data.readers`).
        files: role -> path pattern below the folder; `{language}`, `{laser}`, `{name}` are filled in, `*` matches.
        options: what the reader needs to know; in the key of the prepare stage.
        languages: the languages that lie so; empty means all of the split.
        requires: patterns that must exist too for this layout to be taken.
        optional: roles that may be missing.
        stand_in: if what lies there only stands in for the split, what it really is.
        notes: known defects, shown by `data ls` and `data check`.
    """

    reader: str
    files: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    stand_in: str | None = None
    notes: str = ""


@dataclass(frozen=True, kw_only=True)
class Hub:
    """Where a dataset lies on the Hugging Face hub.

    Attributes:
        id: `owner/name`.
        revision: 40 hexadecimal digits; None when it is not known here: a study then has to give it.
        config: pattern of the configuration, with `{language}`, `{laser}`, `{name}`; None for the default one.
        split: the hub's name of the split.
        files: patterns of data files in the repository, instead of a configuration.
        reader: the reader of its columns.
        options: columns and label names, for the reader.
        languages: the languages that it has; empty means all.
        stand_in: if what lies there is not what the split is published as, what it really is.
    """

    id: str
    revision: str | None = None
    config: str | None = None
    split: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    reader: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    stand_in: str | None = None


@dataclass(frozen=True, kw_only=True)
class TableRef:
    """A split of a dataset."""

    dataset: str
    split: str


@dataclass(frozen=True, kw_only=True)
class Split:
    """One split of a dataset.

    Attributes:
        name: its name.
        use: what it may be used for: `train`, `select` (choosing a checkpoint or a threshold) or `test`.
        languages: the languages that have it.
        counts: language (or `all`) -> published number of examples.
        layouts: how it may lie in a folder, in order of preference.
        hub: where it lies on the hub, or None.
        labelled: False where the official release holds the labels back.
        union: other tables that this split is the concatenation of.
        notes: what is worth knowing.
    """

    name: str
    use: str
    languages: tuple[str, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    layouts: tuple[Layout, ...] = ()
    hub: Hub | None = None
    labelled: bool = True
    union: tuple[TableRef, ...] = ()
    notes: str = ""

    def count(self, language: str) -> int | None:
        """The published number of examples in a language, or None where none is known."""
        return self.counts.get(language, self.counts.get("all"))


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset: several splits of one format.

    Attributes:
        name: the name of its file in the catalogue.
        title: its full name.
        format: the canonical format, a name of `xtreme_dag.formats`.
        labels: the label set in XTREME's order, or empty where the format has none or it is open.
        languages: ISO codes.
        splits: by name.
        parallel: True where a row says the same in every language, under the same id.
        licence: of the data; says so where it is from memory.
        citation: the paper.
        tokenisation: what the words of a tagging dataset are.
        get: how to get the data.
        folder: where its files lie, whatever the source; of an entry of the user's own, relative to its catalogue.
        replaces: that it is meant to take the place of the shipped entry of its name.
        root: of an entry of the user's own, the folder of its catalogue.
    """

    name: str
    title: str
    format: str
    labels: tuple[str, ...]
    languages: tuple[str, ...]
    splits: Mapping[str, Split]
    parallel: bool = False
    licence: str = ""
    citation: str = ""
    homepage: str = ""
    tokenisation: str = ""
    notes: str = ""
    get: str = ""
    folder: str = ""
    replaces: bool = False
    root: str = ""

    def split(self, name: str) -> Split:
        """A split by name.

        Raises:
            UserError: no such split.
        """
        if name not in self.splits:
            raise UserError(f"no split {name!r}", where=f"dataset {self.name}", fix=nearest(name, self.splits))
        return self.splits[name]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A target task: of XTREME or XTREME-R, or of the user's own.

    Attributes:
        name: the name of its dataset.
        head: name of a head (`xtreme_dag.heads`); the graph refuses one that there is not.
        metric: name of the metric that enters averages.
        group: the benchmark's group of tasks, one of `GROUPS`.
        train: what it is trained on, in English; None where it is not trained (bitext retrieval).
        select: what the checkpoint is chosen on, in English; None where nothing is chosen.
        test: what it is evaluated on.
        languages: benchmark -> the languages that it averages over; empty for a task of the user's own.
        before: what it is trained on before `train`, in order (XCOPA: Social IQa, then COPA).
        metrics: dotted names of metrics that it adds to those of its family (`scoring.columns.metric_at`).
    """

    name: str
    head: str
    metric: str
    group: str
    train: TableRef | None
    select: TableRef | None
    test: TableRef
    languages: Mapping[str, tuple[str, ...]]
    before: tuple[TableRef, ...] = ()
    metrics: tuple[str, ...] = ()
    notes: str = ""


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """All datasets and tasks.

    Attributes:
        datasets: by name.
        tasks: by name.
        benchmarks: benchmark -> names of its tasks.
        broken: name -> what is wrong with an entry of the user's own; it fails what uses it, and nothing else.
    """

    datasets: Mapping[str, Dataset]
    tasks: Mapping[str, Task]
    benchmarks: Mapping[str, tuple[str, ...]]
    broken: Mapping[str, UserError] = field(default_factory=dict)

    def dataset(self, name: str) -> Dataset:
        """A dataset by name.

        Raises:
            UserError: no such dataset.
        """
        if name in self.broken:
            raise self.broken[name]
        if name not in self.datasets:
            raise UserError(f"no dataset {name!r} in the catalogue", fix=nearest(name, self.datasets))
        return self.datasets[name]

    def task(self, name: str) -> Task:
        """A target task by name.

        Raises:
            UserError: no such task.
        """
        if name in self.broken:
            raise self.broken[name]
        if name not in self.tasks:
            raise UserError(f"no target task {name!r}", fix=nearest(name, self.tasks))
        return self.tasks[name]
