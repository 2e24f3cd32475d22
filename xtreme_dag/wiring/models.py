"""The pretrained encoder of a study: a folder on this machine, or the stage that makes one."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from xtreme_dag import formats
from xtreme_dag.catalogue.catalogue import Catalogue
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.engine.graph import Graph, Output, Source, Stage
from xtreme_dag.heads import TEXT_HEAD, head_of
from xtreme_dag.study.file import Model, Study
from xtreme_dag.study.pretraining import Planting, TextPretraining
from xtreme_dag.study.recipe import checked_settings
from xtreme_dag.study.sections import Origin, Pretrained
from xtreme_dag.study.settings import checked
from xtreme_dag.wiring.absent import absent
from xtreme_dag.wiring.kinds import PRETRAIN, devices_of
from xtreme_dag.wiring.snapshots import snapshot, unpinned
from xtreme_dag.wiring.tables import Tables

# Kind of pretraining -> the stage function: words placed by kinship, or a model trained from random weights.
_FUNCTIONS = {
    "planted": "xtreme_dag.training.planted:plant",
    "text": "xtreme_dag.training.stages:pretrain_text",
}

_TEXT_EXAMPLE = "example: text: {xnli: {train: [en, de]}}"
_SETTINGS: dict[str, type[Any]] = {"planted": Planting, "text": TextPretraining}


class Models:
    """Finds pretrained models.

    Args:
        graph: receives placeholders for models that are missing.
        absent: add a placeholder for a missing model instead of raising, and fetch nothing.

    Attributes:
        absent: stage -> why its model is missing.
    """

    def __init__(self, graph: Graph, *, absent: bool) -> None:
        self.absent: dict[str, str] = {}
        self._graph = graph
        self._allowed = absent

    def base(self, model: Model) -> Source | Output:
        """The encoder of a study."""
        return self._found(model, "model", model.path, model.package)

    def pretrained(self, model: Pretrained) -> Source | Output:
        """A sequence-to-sequence model."""
        return self._found(model, "translated")

    def _found(self, model: Origin, where: str, path: str = "", package: str | None = None) -> Source | Output:
        """A model's folder as an input.

        Args:
            model: a folder, or an id on the hub.
            where: the key of the study, for messages.
            path: of the model inside the folder or the package.
            package: an installed package that has it.

        Raises:
            UserError: the package or folder is not there, or the hub's snapshot is not available or not pinned.
        """
        if model.hub is not None and model.revision is None:
            raise unpinned(model.hub, where)
        try:
            if package is not None:
                folder = _package(package) / path
            elif model.folder is not None:
                folder = Path(model.folder).expanduser() / path
            else:
                folder = snapshot(str(model.hub), str(model.revision), where, fetch=not self._allowed)
            if not folder.is_dir():
                fix = "a model folder has config.json, model.safetensors and a tokenizer"
                raise UserError(f"no folder {str(folder)!r}", where=where, fix=fix)
            return Source(path=folder)
        except UserError as error:
            if not self._allowed:
                raise
            name = str(package or model.folder or model.hub)
            stage, self.absent[f"pretrain[{name}]"] = absent(PRETRAIN, f"pretrain[{name}]", {"model": name}, error)
            return Output(stage=self._graph.add(stage).name)


def base_model(study: Study, graph: Graph, tables: Tables, catalogue: Catalogue, models: Models) -> Source | Output:
    """The pretrained encoder as an input; adds the `pretrain` stage if the study makes one.

    Raises:
        UserError: an unknown recipe, a missing package, folder or snapshot.
    """
    if study.model.pretrain is None:
        return models.base(study.model)
    params = dict(study.model.pretrain)
    kind = params.pop("kind", "planted")
    if not isinstance(kind, str) or kind not in _FUNCTIONS:
        raise UserError(
            f"no kind of pretraining {kind!r}", where="model.pretrain.kind", fix=nearest(str(kind), _FUNCTIONS)
        )
    settings = {name: value for name, value in params.items() if name != "text" or kind != "text"}
    checked(_SETTINGS[kind], settings, where="model.pretrain")
    if kind == "text":
        recipe = checked_settings(params["recipe"], "model.pretrain.recipe")
        if recipe.get("lora"):
            what = "an encoder of random weights has nothing for an adapter to stand on"
            raise UserError(what, where="model.pretrain.recipe.lora", fix="leave it out here")
    head, inputs = head_of(TEXT_HEAD), _text(params, tables, catalogue) if kind == "text" else {}
    stage = Stage(
        of=PRETRAIN,
        name=f"pretrain[{kind}]",
        function=_FUNCTIONS[kind],
        code=(*head.encode_code, *head.train_code()),
        params=params,
        inputs=inputs,
        after=tuple(gate for table in inputs.values() for gate in graph.gates_of(table.stage)),
        more_libraries=("tokenizers",) if kind == "text" else (),
        devices=devices_of(params),
    )
    return Output(stage=graph.add(stage).name)


def tokenizer_of(base: Source | Output) -> Source | Output:
    """The tokenizer's part of the base model: a stage that only tokenises does not depend on the weights."""
    return Output(stage=base.stage, part="tokenizer") if isinstance(base, Output) else base


def _text(params: dict[str, Any], tables: Tables, catalogue: Catalogue) -> dict[str, Output]:
    """Replaces `text` in the parameters by the columns to read, and adds the tables that it names: training splits."""
    inputs: dict[str, Output] = {}
    columns: dict[str, list[str]] = {}
    text: Any = params.pop("text", None) or {}
    if not _is_listing(text):
        raise UserError("text is not dataset -> split -> list of languages", where="model.pretrain", fix=_TEXT_EXAMPLE)
    for name, splits in text.items():
        dataset = catalogue.dataset(name)
        for split, languages in splits.items():
            use = dataset.split(split).use
            if use != "train":
                raise UserError(f"{name} {split} is for {use}, not for training", where="model.pretrain.text")
            for language in languages:
                inputs[f"text/{name}/{language}"] = Output(stage=tables.prepared(dataset, language, split).name)
                columns[f"{name}/{language}"] = list(formats.get(dataset.format).texts)
    if not inputs:
        raise UserError("names no text", where="model.pretrain", fix=_TEXT_EXAMPLE)
    params["columns"] = columns
    return inputs


def _is_listing(text: object) -> bool:
    """Whether a value is a mapping of mappings of lists of texts."""
    splits = (
        [split for splits in text.values() for split in (splits.values() if isinstance(splits, dict) else [0])]
        if (isinstance(text, dict))
        else [0]
    )
    return all(isinstance(codes, list) and all(isinstance(code, str) for code in codes) for codes in splits)


def _package(name: str) -> Path:
    """The folder of an installed package."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"package {name!r} is not installed", where="model.package", fix="install the extra `real`: make real"
        )
    return Path(spec.submodule_search_locations[0])
