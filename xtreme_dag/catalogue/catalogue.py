"""The catalogue: what can be trained and evaluated on. A dataset or a task is a YAML file beside this module.

Entries of the user's own (`own.folders`) come beside them; a wrong one fails what uses it and nothing else. The keys of
an entry are explained in docs/howto-add-a-dataset.md and docs/howto-bring-your-own.md. This module imports nothing heavy: a plan reads it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml

from xtreme_dag.catalogue import own
from xtreme_dag.catalogue.benchmarks import official
from xtreme_dag.catalogue.entries import Catalogue, Dataset, Hub, Layout, Split, TableRef, Task
from xtreme_dag.catalogue.languages import languages, wrong_language
from xtreme_dag.core.errors import UserError, nearest, refuse_unknown
from xtreme_dag.core.yaml import read_yaml
from xtreme_dag.formats import FORMATS

__all__ = ["Catalogue", "Dataset", "Hub", "Layout", "Split", "TableRef", "Task", "load_catalogue", "read_catalogue"]

FOLDER = Path(__file__).with_name("shipped")

GROUPS = ("classification", "tagging", "qa", "retrieval", "dialogue")
USES = ("train", "select", "test")
BENCHMARKS = ("xtreme", "xtreme-r")
REQUIRED = ("title", "format", "languages", "splits", "licence", "citation")  # keys of a dataset
OWN_REQUIRED = ("format", "languages", "splits")
_READER = "readers."  # before the name of a function of the user's own `readers.py`
T = TypeVar("T")


def load_catalogue() -> Catalogue:
    """The catalogue of this package and of the user's own folders, each version of their files read once."""
    return _loaded(own.stamp())


@lru_cache(maxsize=4)
def _loaded(stamp: own.Stamp) -> Catalogue:
    return _with_own(_shipped()) if stamp else _shipped()


@lru_cache(maxsize=1)
def _shipped() -> Catalogue:
    return read_catalogue([FOLDER])


def _with_own(shipped: Catalogue) -> Catalogue:
    """The catalogue with the entries of the user's own; what is wrong with one is kept for whoever uses it."""
    datasets, tasks = {**shipped.datasets}, {**shipped.tasks}
    broken: dict[str, UserError] = {}
    seen: dict[str, Path] = {}
    for folder in own.folders():
        for path in own.entries(folder):
            name = path.stem
            try:
                if name in seen:
                    raise UserError(f"there is an entry of this name in {seen[name]} too", where=str(path))
                seen[name] = path
                dataset, task = _own_entry(path, folder, shipped)
            except UserError as error:
                broken[name] = error
                continue
            datasets[name] = dataset
            tasks.pop(name, None)
            if task is not None:
                tasks[name] = task
    for name in broken:
        datasets.pop(name, None)
        tasks.pop(name, None)
    for name, path in seen.items():
        try:
            if name in tasks:
                for ref in (
                    *tasks[name].before,
                    *filter(None, (tasks[name].train, tasks[name].select, tasks[name].test)),
                ):
                    _resolve(ref, {**datasets, **shipped.datasets}, f"{path}: target")
            for split in datasets[name].splits.values() if name in datasets else ():
                for ref in split.union:
                    _resolve(ref, datasets, f"{path}: splits.{split.name}.union")
        except UserError as error:
            broken[name] = error
            del datasets[name]
            tasks.pop(name, None)
    return replace(shipped, datasets=datasets, tasks=tasks, broken=broken)


def _own_entry(path: Path, folder: Path, shipped: Catalogue) -> tuple[Dataset, Task | None]:
    """The dataset and the task of an entry of the user's own.

    Raises:
        UserError: it is wrong; names the file and the key.
    """
    name, where = path.stem, str(path)
    entry = _load(path)
    if name in shipped.datasets and entry.get("replaces") is not True:
        fix = "give it a name of its own; or write `replaces: true` if it is to be used instead"
        raise UserError(f"the package has a dataset {name!r}", where=where, fix=fix)
    try:
        dataset = _dataset(name, {"title": name, **entry}, where, OWN_REQUIRED)
        where_files = str((folder / dataset.folder).resolve()) if dataset.folder else ""
        dataset = replace(dataset, folder=where_files, root=str(folder))
        _own_readers(dataset, folder / own.READERS, where)
        if "target" not in entry:
            return dataset, None
        if any(name in listed for listed in official().values()):
            what = "a task of a benchmark cannot be replaced: its figures would be taken for the benchmark's"
            raise UserError(what, where=f"{where}: target", fix="give the entry a name of its own")
        target = entry["target"]
        if "languages" in target:
            fix = "leave it out; a task of your own is evaluated in the languages of its dataset"
            raise UserError("a benchmark has its own tasks alone", where=f"{where}: target.languages", fix=fix)
        return dataset, _task(dataset, {"languages": {}, **target}, f"{where}: target")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        missing = f"key {error.args[0]!r} is missing" if isinstance(error, KeyError) else f"not an entry: {error}"
        raise UserError(missing, where=where, fix="see docs/howto-bring-your-own.md") from None


def _own_readers(dataset: Dataset, path: Path, where: str) -> None:
    """Refuses readers of the user's own that are not there."""
    for split in dataset.splits.values():
        for layout in split.layouts:
            if layout.reader.startswith(_READER):
                if not path.is_file():
                    raise UserError(f"no file {str(path)!r}", where=f"{where}: splits.{split.name}.layouts.reader")
                functions = [
                    node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)
                ]
                _one_of(layout.reader.removeprefix(_READER), functions, f"{where}: splits.{split.name}.layouts.reader")


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
        entry = read_yaml(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"not YAML: {error}", where=str(path)) from None
    if not isinstance(entry, dict):
        raise UserError("an entry is a mapping", where=str(path))
    return entry


def _known(kind: type, entry: Mapping[str, Any], where: str, *more: str) -> None:
    """Refuses keys that are no fields of a class of `entries`."""
    valid = {field.name for field in fields(kind)} - {"name", "root"} | {*more}
    refuse_unknown(entry, valid, what="key", where=where)


def _made(kind: type[T], entry: Mapping[str, Any], **made: Any) -> T:
    """An entry as one of the classes of `entries`; lists become tuples, `made` are fields that it has otherwise."""
    return kind(**{**{key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}, **made})


def _one_of(value: str, valid: Sequence[str], where: str) -> str:
    if value not in valid:
        raise UserError(f"{value!r} is not valid", where=where, fix=nearest(str(value), valid))
    return value


def _codes(value: Sequence[str] | str, where: str) -> tuple[str, ...]:
    codes = tuple(value.split()) if isinstance(value, str) else tuple(value)
    known = languages()
    for code in codes:
        if code not in known and (wrong := wrong_language(code)) is not None:
            raise wrong
        if code not in known:
            fix = f"{nearest(str(code), known)}; a language of your own is a line `code,name,script` of languages.csv"
            raise UserError(f"{code!r} is not valid", where=where, fix=fix)
    return codes


def _dataset(name: str, entry: Mapping[str, Any], where: str, required: Sequence[str] = REQUIRED) -> Dataset:
    _known(Dataset, entry, where, "hub", "target")
    for key in required:
        if key not in entry:
            raise UserError(f"key {key!r} is missing", where=where)
    codes = _codes(entry["languages"], f"{where}: languages")
    labels = entry.get("labels", "")
    hub = entry.get("hub", {})
    return _made(
        Dataset,
        {key: value for key, value in entry.items() if key not in ("hub", "target")},
        name=name,
        format=_one_of(entry["format"], list(FORMATS), f"{where}: format"),
        labels=tuple(labels.split()) if isinstance(labels, str) else tuple(str(label) for label in labels),
        languages=codes,
        splits={
            key: _split(key, value, codes, hub, f"{where}: splits.{key}") for key, value in entry["splits"].items()
        },
    )


def _split(name: str, entry: Mapping[str, Any], codes: tuple[str, ...], hub: Mapping[str, Any], where: str) -> Split:
    _known(Split, entry, where)
    own, counts = entry.get("hub"), entry.get("counts", {})
    if own is not None:
        own = {**hub, **own, "options": {**hub.get("options", {}), **own.get("options", {})}}
    return _made(
        Split,
        entry,
        name=name,
        use=_one_of(entry.get("use", ""), USES, f"{where}.use"),
        languages=_codes(entry["languages"], f"{where}.languages") if "languages" in entry else codes,
        counts={"all": counts} if isinstance(counts, int) else counts,
        layouts=tuple(_layout(layout, f"{where}.layouts") for layout in entry.get("layouts", ())),
        hub=None if own is None else _hub(own, f"{where}.hub"),
        union=tuple(TableRef(**ref) for ref in entry.get("union", ())),
    )


def _layout(entry: Mapping[str, Any], where: str) -> Layout:
    _known(Layout, entry, where)
    return _made(Layout, entry, languages=_codes(entry.get("languages", ()), f"{where}.languages"))


def _hub(entry: Mapping[str, Any], where: str) -> Hub:
    _known(Hub, entry, where)
    revision = entry.get("revision")
    if revision is not None and (len(revision) != 40 or set(revision) - set("0123456789abcdef")):
        raise UserError(f"revision {revision!r} is not a commit of 40 hexadecimal digits", where=where)
    return _made(Hub, entry, languages=_codes(entry.get("languages", ()), f"{where}.languages"))


def _task(dataset: Dataset, entry: Mapping[str, Any], where: str) -> Task:
    _known(Task, entry, where)
    test = entry["test"]
    return _made(
        Task,
        entry,
        name=dataset.name,
        group=_one_of(entry["group"], GROUPS, f"{where}.group"),
        train=TableRef(**entry["train"]) if entry.get("train") else None,
        select=TableRef(**entry["select"]) if entry.get("select") else None,
        test=TableRef(**test) if isinstance(test, dict) else TableRef(dataset=dataset.name, split=test),
        languages={
            _one_of(name, BENCHMARKS, f"{where}.languages"): _codes(codes, f"{where}.languages.{name}")
            for name, codes in entry["languages"].items()
        },
        before=tuple(TableRef(**ref) for ref in entry.get("before", ())),
    )


def _resolve(ref: TableRef, datasets: Mapping[str, Dataset], where: str) -> None:
    if ref.dataset not in datasets:
        raise UserError(f"no dataset {ref.dataset!r}", where=where, fix=nearest(ref.dataset, datasets))
    datasets[ref.dataset].split(ref.split)
