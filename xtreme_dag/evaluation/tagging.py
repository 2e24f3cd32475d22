"""Evaluate tagging: UD-POS, WikiANN. The tags of a sentence's windows are joined again, word by word."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError
from xtreme_dag.evaluation.engine import Rows, head_name, infer, model_of, sequences_of, settings_of
from xtreme_dag.model import PackedTokens
from xtreme_dag.scoring.columns import figures
from xtreme_dag.scoring.tagging import FAMILY, statistics
from xtreme_dag.tables.canonical import read_table
from xtreme_dag.tables.encoded import EncodedTable, open_encoded
from xtreme_dag.tables.predictions import rows_in_order, spread, write_evaluation


def evaluate_tagging(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Tags every sentence of one language; the score is the mean probability of the chosen tags.

    Gold and prediction are the tags of the words with a blank between them.

    Args:
        params: `task`, `language`, `split`, `labels`, `recipe` (`precision`).
        inputs: `model`, `encoded`, `table`.
        context: see `settings_of` for the options.
    """
    settings = settings_of(params.get("recipe") or {}, context)
    table = open_encoded(inputs["encoded"])
    model = model_of(inputs, settings.device)
    head = head_name(model, "tagging", params["task"], params.get("labels") or ())
    sequences = sequences_of([table])
    word_of_token = word_places(table)
    words = int(table.per_example("words").sum())
    chosen, scores = np.full(words, -1, np.int64), np.zeros(words)

    def tag(tokens: PackedTokens, rows: Rows) -> tuple[NDArray[np.int64], Tensor, Tensor]:
        places = word_of_token[sequences.tokens_of(rows)]
        first = np.flatnonzero(places >= 0)
        at = torch.from_numpy(first).to(settings.device)
        best = model.scores(head, tokens, at).float().softmax(dim=-1).max(dim=-1)
        return places[first], best.indices, best.values

    for _, (places, index, value) in infer(sequences, tag, settings, progress=context.progress):
        chosen[places], scores[places] = index.cpu().numpy(), value.cpu().numpy()
    if (chosen < 0).any():
        raise UserError(
            f"{int((chosen < 0).sum())} words stand in no window", where=params["task"], fix="encode the table again"
        )
    _write(params, inputs, context, table, [model.specs[head].labels[index] for index in chosen.tolist()], scores)
    return {"examples": len(table), "words": words, "tokens": int(table.lengths.sum())}


def word_places(table: EncodedTable) -> NDArray[np.int64]:
    """For each token the running number of the word, over all examples, that it is the first piece of; -1 for others.

    Windows of a sentence need no other joining: a word has its first piece in one of them.
    """
    words = table.per_example("words").astype(np.int64)
    before = np.cumsum(words) - words
    owner = np.repeat(table.per_sequence("example"), table.lengths)
    word = table.per_token("word").astype(np.int64)
    return np.where(word >= 0, before[owner] + word, -1)


def _write(
    params: Mapping[str, Any],
    inputs: Mapping[str, Path],
    context: StageContext,
    table: EncodedTable,
    tags: list[str],
    scores: NDArray[np.float64],
) -> None:
    bounds = np.concatenate([[0], np.cumsum(table.per_example("words"))]).tolist()
    predicted = [tags[low:high] for low, high in pairwise(bounds)]
    gold = rows_in_order(read_table(inputs["table"]), table.example_ids, params["task"])["tags"].to_pylist()
    known = np.array([row is not None and None not in row for row in gold], dtype=bool)
    rows = np.flatnonzero(known).tolist()
    right = statistics([gold[row] for row in rows], [predicted[row] for row in rows])
    write_evaluation(
        context.out,
        params,
        ids=table.example_ids,
        languages=table.languages,
        tokens=table.example_lengths,
        gold=[" ".join(row) if there else None for row, there in zip(gold, known, strict=True)],
        predictions=[" ".join(row) for row in predicted],
        scores=[float(scores[low:high].mean()) if high > low else 0.0 for low, high in pairwise(bounds)],
        statistics=spread(known, right),
        metrics=figures(FAMILY.metrics, right) if rows else {},
        primary=FAMILY.primary,
    )
