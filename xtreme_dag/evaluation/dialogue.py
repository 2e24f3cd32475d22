"""Evaluate dialogue state tracking: Multilingual WoZ, MultiWOZ. The state is accumulated over the predicted turns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from xtreme_dag.core.context import StageContext
from xtreme_dag.core.dialogue import NONE, REQUEST, Ontology, accumulated, as_text, informed, ontology
from xtreme_dag.evaluation.engine import Rows, cached_model, head_name, infer, sequences_of, settings_of
from xtreme_dag.model import PackedTokens
from xtreme_dag.scoring.columns import figures
from xtreme_dag.scoring.dialogue import FAMILY, statistics
from xtreme_dag.tables.canonical import read_table
from xtreme_dag.tables.encoded import open_encoded
from xtreme_dag.tables.predictions import cluster_columns, rows_in_order, spread, write_evaluation


def evaluate_dialogues(
    params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext
) -> Mapping[str, Any]:
    """Chooses for every slot in every turn of one language; the score is the probability of all choices of the turn.

    Gold and prediction are the labels of the turn and the state after it, see `core.dialogue.as_text`.

    Args:
        params: `task`, `language`, `split`, `labels`, `recipe` (`precision`), `declared` (what the format says).
        inputs: `model`, `encoded`, `table`.
        context: see `settings_of` for the options.
    """
    settings = settings_of(params.get("recipe") or {}, context)
    table = open_encoded(inputs["encoded"])
    model = cached_model(inputs["model"], settings.device)
    head = head_name(model, "slot_values", params["task"], params.get("labels") or ())
    known = ontology(model.specs[head].labels)
    chosen = np.zeros((len(table), len(known.classes) + len(known.requests)), np.int64)
    scores = np.zeros(len(table))

    def choose(tokens: PackedTokens, _: Rows) -> tuple[Tensor, Tensor]:
        best = model.scores(head, tokens).float().softmax(dim=-1).max(dim=-1)
        return best.indices, best.values.prod(dim=-1)

    for rows, (index, value) in infer(sequences_of([table]), choose, settings, progress=context.progress):
        chosen[rows], scores[rows] = index.cpu().numpy(), value.cpu().numpy()
    said = [_labels(row, known) for row in chosen.tolist()]
    turns = rows_in_order(read_table(inputs["table"]), table.example_ids, params["task"])
    states = accumulated(turns["dialogue"].to_pylist(), said)
    gold, gold_states = turns["labels"].to_pylist(), turns["state"].to_pylist()
    there = np.array([None not in pair for pair in zip(gold, gold_states, strict=True)], dtype=bool)
    at = np.flatnonzero(there).tolist()
    reached = [informed(state or ()) for state in gold_states]
    right = statistics([gold[n] for n in at], [said[n] for n in at], [reached[n] for n in at], [states[n] for n in at])
    write_evaluation(
        context.out,
        params,
        ids=table.example_ids,
        languages=table.languages,
        tokens=table.example_lengths,
        gold=[as_text(gold[n], reached[n]) if there[n] else None for n in range(len(gold))],
        predictions=[as_text(*pair) for pair in zip(said, states, strict=True)],
        scores=scores,
        statistics=spread(there, right),
        metrics=figures(FAMILY.metrics, right) if at else {},
        primary=FAMILY.primary,
        more=cluster_columns(params, turns),
    )
    return {"examples": len(table), "tokens": int(table.lengths.sum())}


def _labels(chosen: list[int], known: Ontology) -> list[str]:
    """The labels of the choices of a turn."""
    values = ((slot, classes[place]) for (slot, classes), place in zip(known.classes.items(), chosen, strict=False))
    asked = zip(known.requests, chosen[len(known.classes) :], strict=True)
    return [
        *(f"{slot}={value}" for slot, value in values if value != NONE),
        *(f"{REQUEST}={slot}" for slot, yes in asked if yes),
    ]
