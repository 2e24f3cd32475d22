"""Write the artifact of a training stage: a model folder, `training.json`, and the rows that were drawn."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from xtreme_dag.core.errors import UserError
from xtreme_dag.heads.trained import TrainedModel, save_model
from xtreme_dag.tables.canonical import write_table
from xtreme_dag.training.pools import Pool, labelled
from xtreme_dag.training.run import Outcome

# Points of the loss curve that training.json shows; the digest covers every step.
_CURVE_POINTS = 100


def write_artifact(
    model: TrainedModel,
    outcome: Outcome,
    pools: Sequence[Pool],
    *,
    out: Path,
    tokenizer_from: Path,
    facts: dict[str, Any],
    storage: str = "fp32",
) -> Mapping[str, Any]:
    """Writes the model folder with `training.json` and `drawn.parquet`.

    Args:
        model: what was trained; its encoder is rounded if it is stored so.
        outcome: of the run.
        pools: what was drawn.
        out: the artifact's folder.
        tokenizer_from: the folder whose tokenizer goes with it.
        facts: more of `training.json`.
        storage: `fp32`, or `bf16`: the encoder's weights are rounded to it.

    Returns:
        Figures for the manifest (speed, memory), which are not part of the artifact.
    """
    if storage == "bf16":
        backbone: Any = model.encoder.backbone
        backbone.to(torch.bfloat16)
    save_model(model, out, tokenizer_from=tokenizer_from, adapter=outcome.adapter)
    report = {
        "steps": outcome.steps,
        "steps_done": outcome.done,
        "kept_step": outcome.kept,
        "loss_digest": hashlib.sha256(outcome.losses.tobytes()).hexdigest(),
        "loss_curve": _curve(outcome.losses),
        "selection": outcome.looks,
        "composition": composition(pools),
        **({"storage": storage} if storage != "fp32" else {}),
        **facts,
    }
    (out / "training.json").write_text(json.dumps(report, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    write_table(drawn(pools), out / "drawn.parquet")
    return {**outcome.figures, "storage": storage}


def composition(pools: Sequence[Pool]) -> list[dict[str, Any]]:
    """Examples and tokens of each task, dataset and language, once through the drawn rows."""
    return [
        {
            "task": pool.name,
            "dataset": part.dataset,
            "language": part.language,
            "examples": len(part.rows),
            "distinct": len(np.unique(part.rows)),
            "tokens": part.tokens,
        }
        for pool in pools
        for part in pool.parts
    ]


def drawn(pools: Sequence[Pool]) -> pa.Table:
    """One row per drawn example, in pool order: task, dataset, language, id."""
    columns: dict[str, list[str]] = {"task": [], "dataset": [], "language": [], "id": []}
    for pool in pools:
        for part in pool.parts:
            names = part.table.examples["id"].take(pa.array(part.rows)).to_pylist()
            columns["task"] += [pool.name] * len(names)
            columns["dataset"] += [part.dataset] * len(names)
            columns["language"] += [part.language] * len(names)
            columns["id"] += names
    return pa.table(columns)


def refuse_unlabelled(pool: Pool) -> Pool:
    """The pool, if every drawn example that needs a label has one."""
    for part in pool.parts:
        missing = int((~labelled(part.table, pool.spec.kind)[part.rows]).sum())
        if missing:
            raise UserError(
                f"{missing:,} of {len(part.rows):,} drawn examples have no label",
                where=f"{pool.name}: {part.dataset}/{part.language}",
                fix="train on a labelled split",
            )
    return pool


def _curve(losses: np.ndarray[Any, np.dtype[np.float32]]) -> list[float]:
    """The loss curve as means of at most `_CURVE_POINTS` runs of steps."""
    runs = np.array_split(losses.astype(np.float64), min(_CURVE_POINTS, max(1, len(losses))))
    return [round(float(run.mean()), 6) for run in runs if len(run)]
