"""Evaluate sentence retrieval between English and another language: Tatoeba.

English sentences ask, the foreign sentences are the index, the nearest one is the prediction: XTREME's direction.
XTREME's files hide the alignment by sorting the English side; the canonical table keeps it, so a sentence's own row is
its label and no permutation is needed. Which model embeds (a bare encoder, or one trained on SQuAD first as in
XTREME-R) is the study's choice: it is the stage's `model` input.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError, refuse_unknown
from xtreme_dag.evaluation.embeddings import chosen_layer, chosen_pooling, embed, embed_layers, special_ids
from xtreme_dag.evaluation.engine import Settings, model_of, sequences_of, settings_of
from xtreme_dag.evaluation.labels import write_labels
from xtreme_dag.evaluation.search import Neighbours, top_k
from xtreme_dag.heads.trained import TrainedModel
from xtreme_dag.tables.encoded import EncodedTable, open_encoded
from xtreme_dag.tables.predictions import write_json

SIMILARITIES = ("cosine", "ratio")
MARGIN_NEIGHBOURS = 4


def evaluate_tatoeba(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Finds the translation of every English sentence among the foreign sentences of one language.

    Args:
        params: `task`, `language`, `split`, `recipe`: `layer` (number, or null for that of `vectors`), `pooling`
            (`mean`, `mean_without_special`, `cls`, `dual`), `similarity` (`cosine`, or `ratio` margin over `margin_k` = 4 neighbours),
            `sweep` (true: also every layer's accuracy, in `sweep.json`; it never decides the layer), `precision`.
        inputs: `model`, `encoded`.
        context: see `settings_of` for the options.
    """
    recipe = params.get("recipe") or {}
    settings = settings_of(recipe, context)
    table = open_encoded(inputs["encoded"])
    model = model_of(inputs, settings.device)
    similarity = str(recipe.get("similarity") or "cosine")
    refuse_unknown([similarity], SIMILARITIES, what="similarity", where="recipe.similarity")
    english = table.per_sequence("side") == 1
    if int(english.sum()) * 2 != len(english):
        raise UserError("the table is not one of parallel sentences", where=str(params["task"]))
    vectors = _vectors(params, recipe, table, model, settings, context, english)
    k = int(recipe.get("margin_k") or MARGIN_NEIGHBOURS)
    found = translations(vectors[english], vectors[~english], similarity, settings.device, k)
    names = table.example_ids
    write_labels(
        context.out,
        params,
        table=table,
        gold=names,
        predictions=[names[row] for row in found.rows[:, 0].tolist()],
        scores=found.cosines[:, 0],
        more={"row": pa.array(found.rows[:, 0], pa.int32())},
    )
    return {"examples": len(table), "tokens": int(table.lengths.sum())}


def _vectors(
    params: Mapping[str, Any],
    recipe: Mapping[str, Any],
    table: EncodedTable,
    model: TrainedModel,
    settings: Settings,
    context: StageContext,
    english: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """The vectors of the recipe's layer; with `sweep`, all layers from the same pass, and their accuracies."""
    pooling = chosen_pooling(recipe)
    sequences, special = sequences_of([table]), special_ids(table)
    if not recipe.get("sweep") or pooling == "dual":
        return embed(sequences, special, model, settings, task=params["task"], recipe=recipe, progress=context.progress)
    layers = embed_layers(sequences, special, model, settings, pooling=pooling, progress=context.progress)
    layer = chosen_layer(recipe, model.encoder.layers)
    own = np.arange(len(table))
    figures = []
    for number, vectors in enumerate(layers):
        rows = top_k(vectors[english], vectors[~english], 1, device=settings.device).rows[:, 0]
        figures.append({"layer": number, "accuracy": 100.0 * float((rows == own).mean())})
    write_json({"pooling": pooling, "recipe_layer": layer, "layers": figures}, context.out / "sweep.json")
    chosen: NDArray[np.float32] = layers[layer]
    return chosen


def translations(
    english: NDArray[np.float32], foreign: NDArray[np.float32], similarity: str, device: torch.device, k: int
) -> Neighbours:
    """The best foreign sentence of each English one, by cosine or by ratio margin over k neighbours."""
    if similarity == "cosine":
        return top_k(english, foreign, 1, device=device)
    k = min(k, len(foreign))
    forward = top_k(english, foreign, k, device=device)
    back = top_k(foreign, english, k, device=device).cosines.mean(axis=1)
    margin = forward.cosines / ((forward.cosines.mean(axis=1)[:, None] + back[forward.rows]) / 2)
    best = margin.argmax(axis=1)[:, None]
    return Neighbours(
        rows=np.take_along_axis(forward.rows, best, axis=1), cosines=np.take_along_axis(margin, best, axis=1)
    )
