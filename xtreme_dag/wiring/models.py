"""The pretrained encoder of a study: a folder on this machine, or the stage that makes one."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from xtreme_dag import formats
from xtreme_dag.catalogue.catalogue import Catalogue
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.engine.graph import Graph, Output, Source, Stage
from xtreme_dag.heads import TEXT_HEAD, head_of
from xtreme_dag.study.conditions import Origin, Pretrained
from xtreme_dag.study.file import Model, Study
from xtreme_dag.wiring.absent import absent
from xtreme_dag.wiring.kinds import PRETRAIN, devices_of
from xtreme_dag.wiring.tables import Tables


class Models:
    """Finds pretrained models.

    Args:
        graph: receives stand-ins for models that are missing.
        absent: plan with what is missing, instead of refusing or fetching it.

    Attributes:
        absent: stage -> why its model is missing.
    """

    def __init__(self, graph: Graph, *, absent: bool) -> None:
        self.absent: dict[str, str] = {}
        self._graph = graph
        self._allowed = absent

    def base(self, model: Model) -> Source | Output:
        """The encoder of a study."""
        return self._found(
            str(model.package or model.folder or model.hub), lambda: model_folder(model, fetch=not self._allowed)
        )

    def pretrained(self, model: Pretrained) -> Source | Output:
        """A sequence-to-sequence model."""
        return self._found(str(model.folder or model.hub), lambda: seq2seq_folder(model, fetch=not self._allowed))

    def _found(self, name: str, find: Callable[[], Path]) -> Source | Output:
        try:
            return Source(path=find())
        except UserError as error:
            if not self._allowed:
                raise
            stage, reason = absent(PRETRAIN, f"pretrain[{name}]", {"model": name}, error)
            self.absent[stage.name] = reason
            return Output(stage=self._graph.add(stage).name)


def base_model(study: Study, graph: Graph, tables: Tables, catalogue: Catalogue, models: Models) -> Source | Output:
    """Where the pretrained encoder comes from; adds the `pretrain` stage where it is to be made.

    Raises:
        UserError: an unknown recipe, a missing package, folder or snapshot.
    """
    if study.model.pretrain is None:
        return models.base(study.model)
    given = dict(study.model.pretrain)
    kind = given.pop("kind", "planted")
    if kind == "planted":
        return Output(stage=graph.add(_planted(given)).name)
    if kind == "text":
        return Output(stage=graph.add(_from_text(given, graph, tables, catalogue)).name)
    raise UserError(
        f"no kind of pretraining {kind!r}", where="model.pretrain.kind", fix=nearest(str(kind), ("planted", "text"))
    )


def tokenizer_of(base: Source | Output) -> Source | Output:
    """The tokenizer's part of the base model: a stage that only tokenises does not hang on the weights."""
    return Output(stage=base.stage, part="tokenizer") if isinstance(base, Output) else base


def _text_code() -> tuple[str, ...]:
    """What pretraining runs of the head for text: its encoder and its training."""
    head = head_of(TEXT_HEAD)
    return (*head.encode_code, *head.train_code())


def _planted(params: dict[str, Any]) -> Stage:
    return Stage(
        of=PRETRAIN,
        name="pretrain[planted]",
        function="xtreme_dag.training.planted:plant",
        code=_text_code(),
        params=params,
        devices=devices_of(params),
    )


def _from_text(params: dict[str, Any], graph: Graph, tables: Tables, catalogue: Catalogue) -> Stage:
    """A masked language model from nothing, on the text of training splits: nobody's test data."""
    inputs: dict[str, Source | Output] = {}
    after: list[str] = []
    columns: dict[str, list[str]] = {}
    text: dict[str, dict[str, list[str]]] = params.pop("text", None) or {}
    for name, splits in text.items():
        dataset = catalogue.dataset(name)
        for split, languages in splits.items():
            if dataset.split(split).use != "train":
                raise UserError(
                    f"{name} {split} is for {dataset.split(split).use}, not for training", where="model.pretrain.text"
                )
            for language in languages:
                prepare = tables.prepared(dataset, language, split)
                inputs[f"text/{name}/{language}"] = Output(stage=prepare.name)
                columns[f"{name}/{language}"] = list(formats.get(dataset.format).texts)
                after += graph.gates_of(prepare.name)
    if not inputs:
        raise UserError("names no text", where="model.pretrain", fix="example: text: {xnli: {train: [en, de]}}")
    return Stage(
        of=PRETRAIN,
        name="pretrain[text]",
        function="xtreme_dag.training.stages:pretrain_text",
        code=_text_code(),
        params={**params, "columns": columns},
        inputs=inputs,
        after=tuple(after),
        more_libraries=("tokenizers",),
        devices=devices_of(params),
    )


def model_folder(model: Model, *, fetch: bool = True) -> Path:
    """The folder of a ready pretrained encoder.

    Args:
        model: the study's.
        fetch: whether a hub model may be downloaded.

    Raises:
        UserError: the package or folder is not there, or the hub's snapshot cannot be had.
    """
    if model.package is not None:
        spec = find_spec(model.package)
        if spec is None or not spec.submodule_search_locations:
            raise UserError(
                f"package {model.package!r} is not installed",
                where="model.package",
                fix="install the extra `real`: make real",
            )
        return _existing(Path(spec.submodule_search_locations[0]) / model.path, "model")
    return _origin(model, "model", fetch, model.path)


def seq2seq_folder(model: Pretrained, *, fetch: bool = True) -> Path:
    """The folder of a sequence-to-sequence model.

    Raises:
        UserError: the folder is not there, or the hub's snapshot cannot be had.
    """
    return _origin(model, "translated", fetch)


def _origin(model: Origin, where: str, fetch: bool, path: str = "") -> Path:
    """The folder that a study names, or the hub's snapshot."""
    if model.folder is not None:
        return _existing(Path(model.folder).expanduser() / path, where)
    return _existing(_snapshot(str(model.hub), str(model.revision), where, fetch), where)


def _existing(folder: Path, where: str) -> Path:
    if not folder.is_dir():
        fix = "a model folder has config.json, model.safetensors and a tokenizer"
        raise UserError(f"no folder {str(folder)!r}", where=where, fix=fix)
    return folder


def _snapshot(name: str, revision: str, where: str, fetch: bool) -> Path:
    """The hub's snapshot of a model at a commit: from the local cache, else fetched."""
    from huggingface_hub import snapshot_download

    wanted = ["*.json", "*.safetensors", "*.model", "*.spm", "*.txt"]
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted, local_files_only=not fetch))
    except Exception as error:  # The client raises many kinds; all mean that the snapshot cannot be had.
        reason = " ".join(str(error).split())[:200] if fetch else "not in the local cache; a run fetches it"
        raise UserError(
            f"{name} at {revision[:12]} cannot be had ({reason})",
            where=f"{where}.hub",
            fix=f"or name a local folder: {where}.folder",
        ) from None
