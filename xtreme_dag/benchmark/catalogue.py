"""The catalogue: what can be trained and evaluated on. A dataset or a task is a YAML file beside this module.

The keys of an entry are explained in docs/howto-add-a-dataset.md. This module imports nothing heavy: a plan reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from xtreme_dag.benchmark.languages import languages
from xtreme_dag.errors import UserError, nearest

FOLDER = Path(__file__).with_name("catalogue")

FORMATS = (
    "pair_classification", "multiple_choice", "tagging", "span_qa", "parallel", "bitext_mining", "qa_retrieval",
    "entity_linking", "plain_text", "parallel_text",
)  # fmt: skip
HEADS = ("classification", "multiple_choice", "tagging", "span", "embedding", "dual")
GROUPS = ("classification", "tagging", "qa", "retrieval")
USES = ("train", "select", "test")
BENCHMARKS = ("xtreme", "xtreme-r")
DATASET_KEYS = {"title", "format", "labels", "languages", "splits", "hub", "licence", "citation", "homepage", "parallel",
                "tokenisation", "notes", "get", "target"}  # fmt: skip
SPLIT_KEYS = {"use", "languages", "counts", "layouts", "hub", "labelled", "notes", "union"}
LAYOUT_KEYS = {"reader", "files", "options", "languages", "requires", "stand_in", "optional", "notes"}
HUB_KEYS = {"id", "revision", "config", "split", "reader", "options", "files", "languages", "stand_in"}
TARGET_KEYS = {"head", "metric", "group", "train", "select", "test", "languages", "notes"}


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
        notes: what is known to be amiss, shown by `data ls` and `data check`.
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
        format: the canonical format, one of `FORMATS`.
        labels: the label set in XTREME's order, or empty where the format has none or it is open.
        languages: ISO codes.
        splits: by name.
        parallel: True where a row says the same in every language, under the same id.
        licence: of the data; says so where it is from memory.
        citation: the paper.
        tokenisation: what the words of a tagging dataset are.
        get: how to get the data.
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
    """A target task of XTREME or XTREME-R.

    Attributes:
        name: the name of its dataset.
        head: one of `HEADS`.
        metric: name of the official metric (`evaluation.scoring`).
        group: the benchmark's group of tasks, one of `GROUPS`.
        train: what it is trained on, in English; None where it is not trained (bitext retrieval).
        select: what the checkpoint is chosen on, in English; None where nothing is chosen.
        test: what it is evaluated on.
        languages: benchmark -> the languages that it averages over.
        before: what it is trained on before `train`, in order (XCOPA: Social IQa, then COPA).
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
    notes: str = ""


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """All datasets and tasks.

    Attributes:
        datasets: by name.
        tasks: by name.
        benchmarks: benchmark -> names of its tasks.
    """

    datasets: Mapping[str, Dataset]
    tasks: Mapping[str, Task]
    benchmarks: Mapping[str, tuple[str, ...]]

    def dataset(self, name: str) -> Dataset:
        """A dataset by name.

        Raises:
            UserError: no such dataset.
        """
        if name not in self.datasets:
            raise UserError(f"no dataset {name!r} in the catalogue", fix=nearest(name, self.datasets))
        return self.datasets[name]

    def task(self, name: str) -> Task:
        """A target task by name.

        Raises:
            UserError: no such task.
        """
        if name not in self.tasks:
            raise UserError(f"no target task {name!r}", fix=nearest(name, self.tasks))
        return self.tasks[name]


@lru_cache(maxsize=1)
def load_catalogue() -> Catalogue:
    """The catalogue of this package, read once."""
    return read_catalogue([FOLDER])


def read_catalogue(folders: Iterable[Path]) -> Catalogue:
    """Reads the entries of several folders; a later entry of the same name is an error.

    Raises:
        UserError: an entry is wrong; names the file and the key.
    """
    datasets: dict[str, Dataset] = {}
    tasks: dict[str, Task] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*.yaml"))):
        name = path.stem
        if name in datasets:
            raise UserError(f"dataset {name!r} is in the catalogue twice", where=str(path))
        entry = _load(path)
        _known(entry, DATASET_KEYS, path.name)
        datasets[name] = _dataset(name, entry, path.name)
        if "target" in entry:
            tasks[name] = _task(datasets[name], entry["target"], f"{path.name}: target")
    for task in tasks.values():
        for ref in (*task.before, *filter(None, (task.train, task.select, task.test))):
            _resolve(ref, datasets, f"{task.name}.yaml: target")
    for dataset in datasets.values():
        for split in dataset.splits.values():
            for ref in split.union:
                _resolve(ref, datasets, f"{dataset.name}.yaml: splits.{split.name}.union")
    benchmarks = {name: tuple(task for task in tasks if tasks[task].languages.get(name)) for name in BENCHMARKS}
    return Catalogue(datasets=datasets, tasks=tasks, benchmarks=benchmarks)


def _load(path: Path) -> dict[str, Any]:
    try:
        entry = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise UserError(f"not YAML: {error}", where=str(path)) from None
    if not isinstance(entry, dict):
        raise UserError("an entry is a mapping", where=str(path))
    return entry


def _known(entry: Mapping[str, Any], keys: set[str], where: str) -> None:
    for key in entry:
        if key not in keys:
            raise UserError(f"unknown key {key!r}", where=where, fix=nearest(str(key), keys))


def _one_of(value: str, valid: Sequence[str], where: str) -> str:
    if value not in valid:
        raise UserError(f"{value!r} is not valid", where=where, fix=nearest(str(value), valid))
    return value


def _codes(value: Sequence[str] | str, where: str) -> tuple[str, ...]:
    codes = tuple(value.split()) if isinstance(value, str) else tuple(value)
    for code in codes:
        _one_of(code, list(languages()), where)
    return codes


def _dataset(name: str, entry: Mapping[str, Any], where: str) -> Dataset:
    for key in ("title", "format", "languages", "splits", "licence", "citation"):
        if key not in entry:
            raise UserError(f"key {key!r} is missing", where=where)
    codes = _codes(entry["languages"], f"{where}: languages")
    labels = entry.get("labels", "")
    hub = entry.get("hub", {})
    splits = {key: _split(key, value, codes, hub, f"{where}: splits.{key}") for key, value in entry["splits"].items()}
    return Dataset(
        name=name,
        title=entry["title"],
        format=_one_of(entry["format"], FORMATS, f"{where}: format"),
        labels=tuple(labels.split()) if isinstance(labels, str) else tuple(str(label) for label in labels),
        languages=codes,
        splits=splits,
        parallel=bool(entry.get("parallel", False)),
        **{key: str(entry.get(key, "")) for key in
           ("licence", "citation", "homepage", "tokenisation", "notes", "get")},
    )  # fmt: skip


def _split(name: str, entry: Mapping[str, Any], codes: tuple[str, ...], hub: Mapping[str, Any], where: str) -> Split:
    _known(entry, SPLIT_KEYS, where)
    own = entry.get("hub")
    if own is not None:
        own = {**own, "options": {**hub.get("options", {}), **own.get("options", {})}}
    counts = entry.get("counts", {})
    return Split(
        name=name,
        use=_one_of(entry.get("use", ""), USES, f"{where}.use"),
        languages=_codes(entry["languages"], f"{where}.languages") if "languages" in entry else codes,
        counts={"all": counts} if isinstance(counts, int) else dict(counts),
        layouts=tuple(_layout(layout, f"{where}.layouts") for layout in entry.get("layouts", ())),
        hub=None if own is None else _hub({**hub, **own}, f"{where}.hub"),
        labelled=bool(entry.get("labelled", True)),
        union=tuple(TableRef(**ref) for ref in entry.get("union", ())),
        notes=entry.get("notes", ""),
    )


def _layout(entry: Mapping[str, Any], where: str) -> Layout:
    _known(entry, LAYOUT_KEYS, where)
    return Layout(
        reader=entry["reader"],
        files=dict(entry["files"]),
        options=dict(entry.get("options", {})),
        languages=_codes(entry.get("languages", ()), f"{where}.languages"),
        requires=tuple(entry.get("requires", ())),
        optional=tuple(entry.get("optional", ())),
        stand_in=entry.get("stand_in"),
        notes=entry.get("notes", ""),
    )


def _hub(entry: Mapping[str, Any], where: str) -> Hub:
    _known(entry, HUB_KEYS, where)
    revision = entry.get("revision")
    if revision is not None and (len(revision) != 40 or set(revision) - set("0123456789abcdef")):
        raise UserError(f"revision {revision!r} is not a commit of 40 hexadecimal digits", where=where)
    return Hub(
        id=entry["id"],
        revision=revision,
        config=entry.get("config"),
        split=entry.get("split", ""),
        files=dict(entry.get("files", {})),
        reader=entry.get("reader", ""),
        options=dict(entry.get("options", {})),
        languages=_codes(entry.get("languages", ()), f"{where}.languages"),
        stand_in=entry.get("stand_in"),
    )


def _task(dataset: Dataset, entry: Mapping[str, Any], where: str) -> Task:
    _known(entry, TARGET_KEYS | {"before"}, where)
    by_benchmark = {
        _one_of(name, BENCHMARKS, f"{where}.languages"): _codes(codes, f"{where}.languages.{name}")
        for name, codes in entry["languages"].items()
    }
    test = entry["test"]
    return Task(
        name=dataset.name,
        head=_one_of(entry["head"], HEADS, f"{where}.head"),
        metric=entry["metric"],
        group=_one_of(entry["group"], GROUPS, f"{where}.group"),
        train=TableRef(**entry["train"]) if entry.get("train") else None,
        select=TableRef(**entry["select"]) if entry.get("select") else None,
        test=TableRef(**test) if isinstance(test, dict) else TableRef(dataset=dataset.name, split=test),
        languages=by_benchmark,
        before=tuple(TableRef(**ref) for ref in entry.get("before", ())),
        notes=entry.get("notes", ""),
    )


def _resolve(ref: TableRef, datasets: Mapping[str, Dataset], where: str) -> None:
    if ref.dataset not in datasets:
        raise UserError(f"no dataset {ref.dataset!r}", where=where, fix=nearest(ref.dataset, datasets))
    datasets[ref.dataset].split(ref.split)
