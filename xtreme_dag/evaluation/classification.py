"""Evaluate classification of texts and pairs of texts: XNLI, PAWS-X."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from xtreme_dag.core.context import StageContext
from xtreme_dag.evaluation.engine import Rows, head_name, infer, model_of, sequences_of, settings_of
from xtreme_dag.evaluation.labels import write_labels
from xtreme_dag.model import PackedTokens
from xtreme_dag.tables.canonical import read_table
from xtreme_dag.tables.encoded import open_encoded
from xtreme_dag.tables.predictions import rows_in_order


def evaluate_classification(
    params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext
) -> Mapping[str, Any]:
    """Classifies every example of one language; the score is the probability of the predicted class.

    Args:
        params: `task`, `language`, `split`, `labels`, `recipe` (`precision`).
        inputs: `model`, `encoded`, `table`.
        context: see `settings_of` for the options.
    """
    settings = settings_of(params.get("recipe") or {}, context)
    table = open_encoded(inputs["encoded"])
    model = model_of(inputs, settings.device)
    head = head_name(model, "classification", params["task"], params.get("labels") or ())
    names = model.specs[head].labels
    chosen, scores = np.zeros(len(table), np.int64), np.zeros(len(table))

    def classify(tokens: PackedTokens, _: Rows) -> tuple[Tensor, Tensor]:
        best = model.scores(head, tokens).float().softmax(dim=-1).max(dim=-1)
        return best.indices, best.values

    for rows, (index, value) in infer(sequences_of([table]), classify, settings, progress=context.progress):
        chosen[rows], scores[rows] = index.cpu().numpy(), value.cpu().numpy()
    write_labels(
        context.out,
        params,
        table=table,
        gold=rows_in_order(read_table(inputs["table"]), table.example_ids, params["task"])["label"].to_pylist(),
        predictions=[names[index] for index in chosen.tolist()],
        scores=scores,
    )
    return {"examples": len(table), "tokens": int(table.lengths.sum())}
