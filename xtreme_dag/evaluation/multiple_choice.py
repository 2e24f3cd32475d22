"""Evaluate multiple choice: XCOPA, COPA, Social IQa, CommonsenseQA, Cosmos QA, HellaSwag.

The question that stands before the choices comes with the canonical table. For XCOPA it is the reference's English
template ("What was the cause?", "What was the effect?") in every language.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from xtreme_dag.core.context import StageContext
from xtreme_dag.evaluation.engine import Rows, head_name, infer, model_of, sequences_of, settings_of
from xtreme_dag.evaluation.labels import write_labels
from xtreme_dag.model import PackedTokens
from xtreme_dag.tables.encoded import open_encoded


def evaluate_multiple_choice(
    params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext
) -> Mapping[str, Any]:
    """Chooses for every example of one language; the score is the softmax over its choices.

    Gold and prediction are the numbers of the choices, from 0, as text. Equal scores go to the earlier choice.

    Args:
        params: `task`, `language`, `split`, `recipe` (`precision`).
        inputs: `model`, `encoded`, `table`.
        context: see `settings_of` for the options.
    """
    settings = settings_of(params.get("recipe") or {}, context)
    table = open_encoded(inputs["encoded"])
    model = model_of(inputs, settings.device)
    head = head_name(model, "multiple_choice", params["task"])
    choices = np.zeros(len(table.lengths))

    def judge(tokens: PackedTokens, _: Rows) -> Tensor:
        return model.scores(head, tokens).float()

    for rows, value in infer(sequences_of([table]), judge, settings, progress=context.progress):
        choices[rows] = value.cpu().numpy()
    predictions, scores = [], np.zeros(len(table))
    for row, (low, high) in enumerate(pairwise(table.first_sequence.tolist())):
        weights = np.exp(choices[low:high] - choices[low:high].max())
        best = int(weights.argmax())
        predictions.append(str(best))
        scores[row] = weights[best] / weights.sum()
    write_labels(
        context.out,
        params,
        table=table,
        gold=[None if label < 0 else str(label) for label in table.per_example("label").tolist()],
        predictions=predictions,
        scores=scores,
    )
    return {"examples": len(table), "tokens": int(table.lengths.sum())}
