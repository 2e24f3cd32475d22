"""Writes an entry and a contract for files of the user's own into a catalogue of their own."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from xtreme_dag.catalogue import own
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.catalogue.entries import Dataset
from xtreme_dag.catalogue.languages import languages
from xtreme_dag.contracts.odcs import SUFFIX
from xtreme_dag.contracts.usual import usual
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import write_atomically
from xtreme_dag.core.yaml import read_yaml
from xtreme_dag.data.looking import USES, Looked
from xtreme_dag.heads import head_of_format

# Head -> the metric that enters averages, and the group, of a target task.
_TASKS = {
    "classification": ("accuracy", "classification"),
    "multiple_choice": ("accuracy", "classification"),
    "tagging": ("f1", "tagging"),
    "span": ("em_f1_mean", "qa"),
}


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the user says of a dataset.

    Attributes:
        name: of the dataset.
        title, licence, citation: of the data; empty if not said.
        names: code -> English name of languages that nobody knows yet.
        trained_on: `DATASET/SPLIT` that its task is trained on; empty for its own `train`.
        more: add to an entry that is there.
    """

    name: str
    title: str = ""
    licence: str = ""
    citation: str = ""
    names: Mapping[str, str]
    trained_on: str = ""
    more: bool = False


@dataclass(frozen=True, kw_only=True)
class Added:
    """What was written.

    Attributes:
        dataset: the entry, as the catalogue reads it.
        files: what was written.
        target: whether it can be named as a target task.
    """

    dataset: Dataset
    files: Sequence[Path]
    target: bool


def add(found: Sequence[Looked], told: Told, folder: Path) -> Added:
    """Writes `catalogue/NAME.yaml`, `contracts/NAME.odcs.yaml` and, for new languages, lines of `languages.csv`.

    Nothing is left behind if the entry turns out to be wrong.

    Args:
        found: the files, each with its language and split.
        told: what else is said.
        folder: the catalogue of the user's own.

    Raises:
        UserError: the files are of several formats, an entry is there already, or it would be wrong.
    """
    entry_path = folder / own.ENTRIES / f"{told.name}.yaml"
    contract_path = folder / own.CONTRACTS / f"{told.name}{SUFFIX}"
    language_path = folder / own.LANGUAGES
    before = {
        path: path.read_bytes() if path.is_file() else None for path in (entry_path, contract_path, language_path)
    }
    if before[entry_path] is not None and not told.more:
        fix = "--more adds the files to it; or take another --name"
        raise UserError("is there already", where=str(entry_path), fix=fix)
    old = read_yaml(entry_path.read_text(encoding="utf-8")) if before[entry_path] is not None else {}
    entry = _entry(found, told, folder, old)
    try:
        for path in before:
            path.parent.mkdir(parents=True, exist_ok=True)
        _write_languages(found, told, language_path)
        _write(entry_path, entry)
        own.look("added", folder)
        dataset = load_catalogue().dataset(told.name)
        _write(contract_path, usual(dataset))
    except BaseException as error:
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)
        if isinstance(error, OSError):
            raise UserError(f"cannot be written: {error.strerror}", where=str(folder)) from None
        raise
    changed = [path for path, content in before.items() if path.is_file() and path.read_bytes() != content]
    return Added(dataset=dataset, files=changed, target="target" in entry)


def _entry(found: Sequence[Looked], told: Told, folder: Path, old: Mapping[str, Any]) -> dict[str, Any]:
    """The entry as YAML has it: what was there, and the files."""
    if len(forms := sorted({one.format for one in found} | ({old["format"]} if old else set()))) > 1:
        raise UserError(f"files of {' and '.join(forms)}: a dataset has one format", where=told.name)
    home = folder / old["folder"] if old else Path(os.path.commonpath([one.path.absolute().parent for one in found]))
    outside = [one.path for one in found if not one.path.absolute().is_relative_to(home.resolve())]
    if old and outside:
        raise UserError(f"{outside[0]} is not in {home}, where its other files are", where=told.name)
    labels = sorted({*old.get("labels", ()), *(label for one in found for label in one.labels)})
    splits: dict[str, dict[str, Any]] = {name: dict(split) for name, split in old.get("splits", {}).items()}
    for one in found:
        split = splits.setdefault(
            str(one.split), {"use": USES[str(one.split)], "languages": "", "counts": {}, "layouts": []}
        )
        if str(one.language) in split["languages"].split():
            where = f"{told.name} {one.language} {one.split}"
            raise UserError(
                f"two files: {one.path.name} is one more", where=where, fix="say --language or --split for one of them"
            )
        split["languages"] = " ".join(sorted([*split["languages"].split(), str(one.language)]))
        split["counts"] = {**split["counts"], str(one.language): one.rows}
        _place(split["layouts"], one, home.resolve())
    codes = sorted({code for split in splits.values() for code in split["languages"].split()})
    made = {
        "title": told.title or old.get("title", told.name),
        "format": forms[0],
        **({"labels": labels} if labels else {}),
        "languages": " ".join(codes),
        "licence": told.licence or old.get("licence", ""),
        "citation": told.citation or old.get("citation", ""),
        "folder": old["folder"] if old else os.path.relpath(home, folder.absolute()),
        "splits": splits,
    }
    return made | _target(forms[0], splits, told, old)


def _place(layouts: list[dict[str, Any]], one: Looked, home: Path) -> None:
    """Adds a file: to the layout whose files differ from it in the language alone, else as a layout of its own."""
    path = one.path.resolve().relative_to(home).as_posix()
    name = Path(path).name.replace(f"{one.language}", "{language}", 1) if f"{one.language}" in Path(path).name else ""
    pattern = str(Path(path).with_name(name)) if name else path
    for layout in layouts:
        if (layout["reader"], layout["files"]["table"], layout["options"]) == (one.reader, pattern, dict(one.options)):
            layout["languages"] = " ".join([*layout["languages"].split(), str(one.language)])
            return
    layouts.append(
        {
            "reader": one.reader,
            "files": {"table": pattern},
            "options": dict(one.options),
            "languages": str(one.language),
        }
    )


def _target(format: str, splits: Mapping[str, Any], told: Told, old: Mapping[str, Any]) -> dict[str, Any]:
    """The entry's `target`, if there is something to train on and to test on."""
    head = head_of_format(format)
    if head is None or head.name not in _TASKS or "test" not in splits:
        return {"target": old["target"]} if "target" in old else {}
    train: dict[str, str] | None = {"dataset": told.name, "split": "train"} if "train" in splits else None
    if told.trained_on:
        dataset, _, split = told.trained_on.partition("/")
        train = {"dataset": dataset, "split": split or "train"}
    train = train or old.get("target", {}).get("train")
    if train is None:
        return {}
    metric, group = _TASKS[head.name]
    select = {"select": {"dataset": told.name, "split": "dev"}} if "dev" in splits else {}
    return {"target": {"head": head.name, "metric": metric, "group": group, "train": train, **select, "test": "test"}}


def _write_languages(found: Sequence[Looked], told: Told, path: Path) -> None:
    """Adds a line for each language that nobody knows yet."""
    new = {str(one.language): one.script for one in found if one.language not in languages()}
    for code in told.names:
        if code not in new:
            known = languages().get(code)
            what = f"is a language already: {known.name}" if known else "is not the language of a file"
            raise UserError(f"{code!r} {what}", where="--language-name", fix="leave it out")
    if not new:
        return
    rows: list[dict[str, str]] = []
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as lines:
            rows = [row for row in csv.DictReader(lines) if row.get("iso") not in new]
    names = ["iso", "name", "family", "script", "laser"]
    rows += [{"iso": code, "name": told.names.get(code, code), "script": script} for code, script in new.items()]
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write(path: Path, document: Mapping[str, Any]) -> None:
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    write_atomically(path, text)
