"""The pretrained encoder of a study: a folder on this machine, or the stage that makes one."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from xtreme_dag.benchmark.catalogue import Catalogue
from xtreme_dag.errors import UserError, nearest
from xtreme_dag.stages.graph import Graph, Output, Source, Stage
from xtreme_dag.stages.tables import Tables
from xtreme_dag.study import Study

TENSORS = ("torch", "transformers", "numpy")


def base_model(study: Study, graph: Graph, tables: Tables, catalogue: Catalogue) -> Source | Output:
    """Where the pretrained encoder comes from; adds the `pretrain` stage where it is to be made.

    Raises:
        UserError: an unknown recipe, a missing package, folder or snapshot.
    """
    if study.model.pretrain is None:
        return Source(path=model_folder(study))
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


def _planted(params: dict[str, Any]) -> Stage:
    return Stage(
        kind="pretrain",
        name="pretrain[planted]",
        function="xtreme_dag.miniworld.model:plant",
        params=params,
        libraries=TENSORS,
    )


def _from_text(params: dict[str, Any], graph: Graph, tables: Tables, catalogue: Catalogue) -> Stage:
    """A masked language model from nothing, on the text of training splits: nobody's test data."""
    inputs: dict[str, Source | Output] = {}
    after: list[str] = []
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
                after += tables.gates(prepare)
    if not inputs:
        raise UserError("names no text", where="model.pretrain", fix="example: text: {xnli: {train: [en, de]}}")
    return Stage(
        kind="pretrain",
        name="pretrain[text]",
        function="xtreme_dag.training.stages:pretrain_text",
        params=params,
        inputs=inputs,
        after=tuple(after),
        libraries=(*TENSORS, "tokenizers"),
    )


def model_folder(study: Study) -> Path:
    """The folder of a ready pretrained encoder.

    Raises:
        UserError: the package or folder is not there, or the hub's snapshot cannot be had.
    """
    model = study.model
    if model.package is not None:
        spec = find_spec(model.package)
        if spec is None or not spec.submodule_search_locations:
            raise UserError(
                f"package {model.package!r} is not installed",
                where="model.package",
                fix="install the extra `real`: make real",
            )
        folder = Path(spec.submodule_search_locations[0]) / model.path
    elif model.folder is not None:
        folder = Path(model.folder).expanduser() / model.path
    else:
        folder = _snapshot(str(model.hub), str(model.revision))
    if not folder.is_dir():
        fix = "a model folder has config.json, model.safetensors and a tokenizer"
        raise UserError(f"no folder {str(folder)!r}", where="model", fix=fix)
    return folder


def _snapshot(name: str, revision: str) -> Path:
    """The hub's snapshot of a model at a commit: from the local cache, else fetched."""
    from huggingface_hub import snapshot_download

    wanted = ["*.json", "*.safetensors", "*.model", "*.txt"]
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
    except Exception as error:  # The client raises many kinds; all mean that the snapshot cannot be had.
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{name} at {revision[:12]} cannot be had ({reason})",
            where="model.hub",
            fix="or name a local folder: model.folder",
        ) from None
