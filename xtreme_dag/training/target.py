"""Target training: a fresh head (or a kept one) on one task's training data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError
from xtreme_dag.heads import HeadSpec
from xtreme_dag.heads.trained import TrainedModel, bases_of, load_model
from xtreme_dag.model.layers import initialise
from xtreme_dag.study.train_recipe import TrainRecipe
from xtreme_dag.training.artifact import refuse_unlabelled, write_artifact
from xtreme_dag.training.grid import chosen_settings
from xtreme_dag.training.loop import train
from xtreme_dag.training.pools import Part, Pool
from xtreme_dag.training.run import Run
from xtreme_dag.training.selection import selection_pool
from xtreme_dag.training.tables import TrainingTable, selection_table, training_table

# Standard deviation of a fresh target head's weights (that of BERT's and RoBERTa's layers).
TARGET_HEAD_STD = 0.02


def train_target(
    params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext, *, writes: bool
) -> Mapping[str, Any]:
    """Trains one target task; see `xtreme_dag.training.stages.target`."""
    recipe = TrainRecipe.from_params({**params["recipe"], **chosen_settings(inputs)})
    seed = int(params["seed"])
    name = str(params["task"])
    kind = str(params["head"])
    tables: dict[str, Mapping[str, Any]] = {"train": {"dataset": params["dataset"]}, **params.get("further", {})}
    parts = tuple(_whole(training_table(inputs[called], kind), **told) for called, told in tables.items())
    # Of an open label set (CCG, MultiWOZ) the labels are those that the training data have.
    spec = HeadSpec(kind=kind, labels=tuple(params.get("labels") or parts[0].table.info["labels"]))
    pool = refuse_unlabelled(Pool(name=name, spec=spec, parts=parts))
    model = load_model(inputs["model"], bases=bases_of(inputs), log=context.log)
    kept_from = target_head(model, name, spec, seed=seed, keep=bool(params.get("keep_head", False)))
    selection: tuple[Pool, ...] = ()
    if "select" in inputs and recipe.select_every:
        dev = selection_table(inputs["select"], spec.kind)
        selection = (selection_pool(pool, dev, name, recipe.select_examples),)
    outcome = train(model, Run(seed=seed, recipe=recipe, pools=(pool,), selection=selection), context)
    if not writes:
        return {}
    facts = {"task": name, "head_from": kept_from, "seed": seed}
    return write_artifact(
        model, outcome, (pool,), out=context.out, tokenizer_from=inputs["model"], facts=facts, storage=recipe.storage
    )


def _whole(source: TrainingTable, dataset: str, examples: int = 0) -> Part:
    """All rows of a table.

    Raises:
        UserError: there are fewer than the examples that were asked for.
    """
    languages = "+".join(source.table.info["languages"])
    if len(source.table) < examples:
        raise UserError(
            f"{examples:,} examples were asked for and there are {len(source.table):,}",
            where=f"{dataset}/{languages}",
            fix="lower `target.examples` of the condition, or the limit of the data",
        )
    return Part(source=source, dataset=dataset, language=languages, rows=np.arange(len(source.table)))


def target_head(model: TrainedModel, name: str, spec: HeadSpec, *, seed: int, keep: bool) -> str:
    """Leaves the model with one head: a fresh one, or one of the same kind and labels that it already has.

    Returns:
        `fresh`, or the name of the head that was kept.

    Raises:
        UserError: a head should be kept and none has this kind and these labels.
    """
    fitting = [other for other, there in model.specs.items() if there == spec]
    if keep and not fitting:
        raise UserError(
            f"no head of the model fits: {spec.kind} with labels {list(spec.labels)}",
            where=f"{name}: keep_head",
            fix=f"heads of the model: { {other: list(there.labels) for other, there in model.specs.items()} }",
        )
    weights = model.heads[fitting[0]].state_dict() if keep else None
    model.drop_heads()
    head = model.add_head(name, spec)
    if weights is not None:
        head.load_state_dict(weights)
        return fitting[0]
    # It depends on the seed alone, not on the condition.
    initialise(head, TARGET_HEAD_STD, seed)
    return "fresh"
