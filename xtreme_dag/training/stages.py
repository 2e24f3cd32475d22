"""The training stages of the DAG. Each is a pure function of its parameters and the content of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from xtreme_dag.core.context import StageContext
from xtreme_dag.study.train_recipe import TrainRecipe
from xtreme_dag.training.intermediate import train_intermediate
from xtreme_dag.training.launch import launch, launched, writes
from xtreme_dag.training.pretrain import train_pretrain_text
from xtreme_dag.training.target import train_target


def target(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Trains one target task.

    Args:
        params: `seed`; `task` (its name is the head's); `dataset` that `train` is of; `head`, a name in
            `xtreme_dag.heads.HEADS`; `labels` where it takes labels; `recipe`, fields of `TrainRecipe`; `keep_head`, true to go on with a head of
            the same kind and labels instead of a fresh one; `further`, name of an input ->
            its `dataset`, and `examples`, how many it must have, for what is trained on besides `train`.
        inputs: `model`, a model folder; `base/1`, ... what it stands on where it is an adapter; `train`, an encoded table,
            and those of `further`; `select`, an encoded English dev table (optional); `choice`, a file of settings that
            go over those of `recipe` (optional; see `xtreme_dag.training.grid`).
        context: `out` receives a model folder, `training.json` and `drawn.parquet`; `scratch` holds checkpoints.

    Returns:
        Speed and memory, for the manifest.

    Raises:
        UserError: a test split, unlabelled examples, a wrong recipe, no memory, a loss that is not finite.
    """
    return _in_processes(train_target, "target", params, inputs, context)


def intermediate(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Trains on a mixture of tasks and languages.

    Args:
        params: `seed`; `mixture`, a list of tasks, each `{"task", "head", "labels", "share", "sampling", "parts"}` with
            parts `{"dataset", "language", "share", "items_of"}` (the dataset whose ids it has, itself by default);
            `budget`, one of `{"examples": N}` (drawn once each, seen `epochs`
            times), `{"tokens": N}`, `{"steps": N}`, or nothing for all there is; `sampling` over tasks, fields of
            `Sampling` (stated shares are used where they are given, else sizes); `items`: `disjoint` (no item in two
            languages), `parallel` (the same items where ids are shared) or `independent`; `repeat`, true to allow a
            budget beyond the data; `control`: null or `shuffled_labels`; `keep_heads`; `recipe`.
        inputs: `model`, `base/1`, ... as for `target`; `train/<dataset>/<language>`, encoded tables; `select/<dataset>`, encoded English dev tables
            (optional).
        context: as for `target`.

    Returns:
        Speed and memory, for the manifest.

    Raises:
        UserError: shares that do not sum to 1, a budget larger than the data, and what `target` raises.
    """
    return _in_processes(train_intermediate, "intermediate", params, inputs, context)


def pretrain_text(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Trains an encoder from random weights on plain text, with a tokenizer made from that text.

    Args:
        params: `seed`; `vocabulary_size`; `model`, fields of `EncoderShape`; `max_length`; `limit`, lines per table at
            most (optional); `columns`, name -> columns with the texts of a table that has no column `text`; `recipe`.
        inputs: `text/<name>`, folders with canonical tables.
        context: as for `target`.

    Returns:
        Speed and memory, for the manifest.

    Raises:
        UserError: no text, a test split, and what `target` raises.
    """
    return _in_processes(train_pretrain_text, "pretrain_text", params, inputs, context)


def _in_processes(
    train: Callable[..., Mapping[str, Any]],
    stage: str,
    params: Mapping[str, Any],
    inputs: Mapping[str, Path],
    context: StageContext,
) -> Mapping[str, Any]:
    """Trains in this process, or in as many as the recipe says."""
    devices = TrainRecipe.from_params(params["recipe"]).devices
    if devices > 1 and not launched():
        return launch(stage, devices, params, inputs, context)
    return train(params, inputs, context, writes=writes())
