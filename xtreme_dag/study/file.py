"""The study file: conditions x targets x seeds, typed, frozen, read from YAML with errors that name the key."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from xtreme_dag.catalogue import own
from xtreme_dag.core.beside import STUDIES
from xtreme_dag.core.english import ENGLISH
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.files import read_regular
from xtreme_dag.core.yaml import read_yaml, yaml_fault
from xtreme_dag.study.conditions import Condition
from xtreme_dag.study.data_settings import Data
from xtreme_dag.study.sections import NAME, NUMBER, Origin, Section
from xtreme_dag.study.settings import explained

_LARGEST = 4 << 20  # bytes of a study file


class Model(Origin):
    """The pretrained encoder: a hub id with revision, a folder, an installed package, or a `pretrain` recipe.

    Attributes:
        package: an installed Python package that carries a model.
        path: where in the package it lies.
        pretrain: settings of a small encoder that is trained first, from random weights; `kind` is `text` or `planted`.
    """

    package: str | None = None
    path: str = ""
    pretrain: Mapping[str, Any] | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Model:
        given = [name for name in ("hub", "folder", "package", "pretrain") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"name one of hub, folder, package, pretrain (given: {', '.join(given) or 'none'})")
        return self


class Compare(Section):
    """What the report compares with, and the condition that the study's question is about, if it is about one.

    Attributes:
        baseline: the condition that all others are compared with.
        condition: the one that the question is about; it is answered first.
        resamples: bootstrap resamples of the report's intervals.
        confidence: level of the intervals; verdicts are always at 5 %.
        clusters: whether groups of examples that can stand alone (questions on one paragraph) are resampled as wholes.
    """

    baseline: str
    condition: str | None = None
    resamples: Annotated[int, NUMBER, Field(ge=100, le=1_000_000)] = 1000
    confidence: Annotated[float, NUMBER, Field(gt=0.5, lt=1)] = 0.95
    clusters: bool = False


class Table(Section):
    """A split of a dataset.

    Attributes:
        dataset: its name in the catalogue.
        split: its name there.
    """

    dataset: str
    split: str


class Target(Section):
    """What a target task is trained, selected and tested on, where it is not what the catalogue says.

    Attributes:
        languages: evaluate the task in these only; all of the study's that it has where it is empty.
        train: the table to train on.
        select: the table to select a checkpoint on.
        examples: where conditions' target-language examples are from; `none`: the task has none and stays zero-shot.
    """

    languages: tuple[str, ...] = ()
    train: Table | None = None
    select: Table | None = None
    examples: Table | Literal["none"] | None = None


class Study(Section):
    """A whole study, as in one YAML file.

    Attributes:
        study: its name: lower-case letters, digits, `_`, `+`, `-`.
        question: in a sentence; the report starts with it.
        benchmark: which benchmark's official languages averages are taken over.
        data: where the data come from.
        model: the pretrained encoder.
        seeds: each condition and target is trained once with each.
        intermediate: the conditions: name -> recipe of intermediate training.
        targets: target tasks, or `xtreme`, `xtreme-r` for all of a benchmark.
        catalogue: a folder with a catalogue of your own.
        languages: evaluate in these only; all that the tasks have where it is empty.
        source_language: the language of target training.
        recipe: `name` of a recipe (`quick`, `xtreme`, `phang2020`), and what differs from it.
        compare: what is compared with what.
        keep: `scores` drops the weights of target models once all their evaluations stand.
    """

    study: Annotated[str, Field(pattern=NAME)]
    question: str = ""
    benchmark: Literal["xtreme", "xtreme-r"] = "xtreme-r"
    data: Data
    model: Model
    seeds: Annotated[tuple[Annotated[int, NUMBER, Field(ge=0, lt=2**63)], ...], Field(min_length=1)]
    intermediate: Annotated[Mapping[str, Condition], Field(min_length=1)]
    targets: Annotated[Mapping[str, Target], Field(min_length=1)]
    catalogue: str | None = None
    languages: tuple[str, ...] = ()
    source_language: str = ENGLISH
    recipe: Mapping[str, Any] = Field(default_factory=lambda: {"name": "quick"})
    compare: Compare
    keep: Literal["all", "scores"] = "all"

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        value = dict(value)
        if isinstance(value.get("recipe"), str):
            value["recipe"] = {"name": value["recipe"]}
        if isinstance(value.get("targets"), str):
            value["targets"] = [value["targets"]]
        if isinstance(value.get("targets"), list | tuple):
            names = [str(name) for name in value["targets"]]
            if len(set(names)) != len(names):
                raise ValueError("targets: something is listed twice")
            value["targets"] = {name: {} for name in names}
        if isinstance(value.get("targets"), Mapping):
            value["targets"] = {name: {} if body is None else body for name, body in value["targets"].items()}
        if isinstance(value.get("intermediate"), Mapping):
            value["intermediate"] = {name: {} if body is None else body for name, body in value["intermediate"].items()}
        return value

    @model_validator(mode="after")
    def _names_fit(self) -> Study:
        for name, condition in self.intermediate.items():
            if condition.source_translated is not None and self.source_of(condition) == ENGLISH:
                raise ValueError(f"intermediate.{name}: source_translated without a source_language but English")
            further = condition.target
            if further is not None and self.source_of(condition) in (*further.examples, *further.languages):
                source = self.source_of(condition)
                raise ValueError(f"intermediate.{name}.target: {source} is the source language, trained on already")
        for key, named in (("baseline", self.compare.baseline), ("condition", self.compare.condition)):
            if named is not None and named not in self.intermediate:
                raise ValueError(f"compare.{key}: no condition {named!r}; {nearest(named, self.intermediate)}")
        if self.compare.condition == self.compare.baseline:
            raise ValueError("compare.condition: is the baseline itself")
        for what, values in (("seeds", self.seeds), ("languages", self.languages)):
            if len(set(values)) != len(values):
                raise ValueError(f"{what}: something is listed twice")
        for name in self.intermediate:
            if not re.fullmatch(NAME, name):
                raise ValueError(f"intermediate: the name {name!r} must be lower-case letters, digits, _ + -")
        return self

    def source_of(self, condition: Condition) -> str:
        """The language in which a condition's target tasks are trained."""
        return condition.source_language or self.source_language


def load_study(path: Path, overrides: Sequence[str] = ()) -> Study:
    """Reads a study file, and takes the catalogues of the user's own that lie beside it or that it names.

    Relative paths in it are relative to its folder; those of a study that comes with the program, and of overrides, to
    the working directory.

    Args:
        path: the YAML file.
        overrides: `dotted.key=value` assignments; the value is read as YAML.

    Raises:
        UserError: the file cannot be read, or a key or value is wrong.
    """
    try:
        text = read_regular(path, _LARGEST).decode()
        document = read_yaml(text)
    except OSError as error:
        fix = nearest(path.name, (file.name for file in path.parent.glob("*.yaml"))) if path.parent.is_dir() else ""
        raise UserError(f"cannot be read ({error.strerror})", where=str(path), fix=fix) from None
    except UnicodeDecodeError as error:
        raise UserError(f"is not UTF-8 (byte {error.start})", where=str(path)) from None
    except yaml.YAMLError as error:
        raise UserError(f"is not YAML: {yaml_fault(error, text)}", where=str(path)) from None
    if not isinstance(document, dict):
        raise UserError("holds no mapping", where=str(path), fix="`xtreme-dag new NAME` writes one to edit")
    shipped = path.resolve().parent == STUDIES.resolve()
    if not shipped:
        _anchor(document, path.absolute().parent)
    for assignment in overrides:
        _assign(document, assignment)
    study = read_study(document, where=str(path))
    if study.catalogue is not None and not (Path(study.catalogue) / own.ENTRIES).is_dir():
        raise UserError(f"no folder {study.catalogue}/{own.ENTRIES}", where=f"{path}: catalogue")
    beside = [] if shipped else [path.absolute().parent]
    own.look("study", *([Path(study.catalogue)] if study.catalogue is not None else []), *beside)
    return study


def read_study(document: Mapping[str, Any], *, where: str = "study") -> Study:
    """Checks a study given as plain data.

    Raises:
        UserError: names the first wrong key, its value, and the nearest valid one.
    """
    try:
        return Study.model_validate(document)
    except ValidationError as error:
        raise UserError(**explained(error, Study, where)) from None


# Keys of paths. Of a package (`model: {package, path}`) the path is inside it.
_PATHS = (
    ("catalogue",),
    ("data", "folder"),
    ("data", "folders"),
    ("model", "folder"),
)


def _anchor(document: dict[str, Any], folder: Path) -> None:
    """Makes the relative paths of a study absolute; what is no path is left to the checks."""
    for *keys, last in _PATHS:
        place: Any = document
        for key in keys:
            place = place.get(key) if isinstance(place, dict) else None
        if isinstance(place, dict) and last in place:
            place[last] = _anchored(place[last], folder)
    for condition in (
        (document.get("intermediate") or {}).values() if isinstance(document.get("intermediate"), dict) else ()
    ):
        _anchor_models(condition, folder)


def _anchor_models(value: Any, folder: Path) -> None:
    """The folders of translation models, wherever a condition names one."""
    if isinstance(value, list):
        for one in value:
            _anchor_models(one, folder)
    elif isinstance(value, dict):
        if isinstance(value.get("folder"), str):
            value["folder"] = _anchored(value["folder"], folder)
        for one in value.values():
            _anchor_models(one, folder)


def _anchored(value: Any, folder: Path) -> Any:
    if isinstance(value, str):
        return os.path.normpath(folder / Path(value).expanduser())
    if isinstance(value, list):
        return [_anchored(one, folder) for one in value]
    if isinstance(value, dict):
        return {name: _anchored(one, folder) for name, one in value.items()}
    return value


def _assign(document: dict[str, Any], assignment: str) -> None:
    key, equals, text = assignment.partition("=")
    if not equals or not key:
        raise UserError(f"{assignment!r} is not KEY=VALUE", where="--set", fix="example: --set seeds=[1,2]")
    try:
        value = read_yaml(text)
    except yaml.YAMLError:
        raise UserError(f"{text!r} is not a YAML value", where=f"--set {key}") from None
    place: Any = document
    *folders, last = key.split(".")
    for index, name in enumerate(folders):
        inner = place.get(name)
        if inner is None or (index == 0 and name == "recipe" and isinstance(inner, str)):
            inner = {"name": inner} if isinstance(inner, str) else {}
            place[name] = inner
        if not isinstance(inner, dict):
            raise UserError(f"{'.'.join(folders[: index + 1])} holds {inner!r}, not keys", where=f"--set {key}")
        place = inner
    place[last] = value
