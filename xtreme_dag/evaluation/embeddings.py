"""Sentence vectors: from any layer, pooled over tokens, or from a trained dual encoder; all layers in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xtreme_dag.core.errors import UserError, refuse_unknown
from xtreme_dag.evaluation.engine import Rows, Sequences, Settings, head_name, infer, states_of_layer
from xtreme_dag.heads.trained import TrainedModel
from xtreme_dag.model import PackedTokens
from xtreme_dag.tables.encoded import EncodedTable

POOLINGS = ("mean", "mean_without_special", "cls", "dual")
# What XTREME's scripts take of XLM-R Large, by name: share of the depth, and pooling. Tatoeba's index is 13 of all 24
# layers; BUCC's is 7 of the last 12 (`--specific_layer 7`), which is layer 20. Other depths take the same share.
VECTORS = {"tatoeba": (14 / 24, "mean"), "bucc": (20 / 24, "cls")}

Vectors = NDArray[np.float32]


def chosen_layer(recipe: Mapping[str, Any], layers: int) -> int:
    """The recipe's `layer`, 0 (the embeddings) to `layers`; without one that of its `vectors`, at least 1.

    The layer is part of the recipe, never chosen by looking at results.

    Raises:
        UserError: the encoder has no such layer, or there are no such vectors.
    """
    layer: int | None = recipe.get("layer")
    if layer is None:
        return max(1, int(layers * _vectors(recipe)[0] + 0.5))
    if not 0 <= layer <= layers:
        raise UserError(
            f"the encoder has no layer {layer}", where="recipe.layer", fix=f"0 (embeddings) to {layers}, or null"
        )
    return layer


def chosen_pooling(recipe: Mapping[str, Any]) -> str:
    """The recipe's `pooling`; without one that of its `vectors`.

    Raises:
        UserError: there is no such pooling, or there are no such vectors.
    """
    pooling = str(recipe.get("pooling") or _vectors(recipe)[1])
    refuse_unknown([pooling], POOLINGS, what="pooling", where="recipe.pooling")
    return pooling


def _vectors(recipe: Mapping[str, Any]) -> tuple[float, str]:
    """Share of the depth and pooling of the recipe that `vectors` names, Tatoeba's by default."""
    name = str(recipe.get("vectors") or "tatoeba")
    refuse_unknown([name], VECTORS, what="recipe of vectors", where="recipe.vectors")
    return VECTORS[name]


def pool(states: Tensor, tokens: PackedTokens, pooling: str, counted: Tensor | None = None) -> Tensor:
    """One vector per sequence from the hidden states of a packed batch.

    Args:
        states: (tokens, width).
        tokens: the packed batch.
        pooling: `mean` (all tokens, special ones too, as XTREME's scripts), `mean_without_special` or `cls`.
        counted: bool (tokens,), the tokens that are not special; a sequence without any counts all of its tokens.

    Returns:
        float32 (sequences, width).
    """
    if pooling == "cls":
        return states.index_select(0, tokens.first).float()
    owner = tokens.sequence_of_token()
    weights = torch.ones(len(owner), dtype=torch.float32, device=states.device)
    if pooling == "mean_without_special" and counted is not None:
        some = torch.zeros(tokens.sequences, device=states.device).index_add_(0, owner, counted.float())
        weights = torch.where(some[owner] > 0, counted.float(), 1.0)
    total = torch.zeros(tokens.sequences, states.shape[1], device=states.device)
    total.index_add_(0, owner, states.float() * weights[:, None])
    count = torch.zeros(tokens.sequences, device=states.device).index_add_(0, owner, weights)
    return total / count[:, None]


def embed(
    sequences: Sequences,
    special: Sequence[int],
    model: TrainedModel,
    settings: Settings,
    *,
    task: str,
    recipe: Mapping[str, Any],
    progress: Callable[..., None] | None = None,
) -> Vectors:
    """Vectors of sequences, as the recipe says; equal sequences are computed once.

    Args:
        sequences: what to embed.
        special: ids of special tokens, see `special_ids`.
        model: the model.
        settings: see `settings_of`.
        task: the task, which names the dual head.
        recipe: `layer`, `pooling`, `vectors`.
        progress: see `infer`.

    Returns:
        float32 (sequences, width), in the order given.
    """
    pooling = chosen_pooling(recipe)
    once, place = distinct_sequences(sequences)
    surrounding = torch.tensor(special, device=settings.device)
    head = head_name(model, "dual", task) if pooling == "dual" else ""
    layer = 0 if head else chosen_layer(recipe, model.encoder.layers)

    def vectors(tokens: PackedTokens, _: Rows) -> Tensor:
        if head:
            return model.scores(head, tokens).float()
        if pooling == "cls":
            return states_of_layer(model.encoder, tokens, layer, firsts=True).float()
        states = states_of_layer(model.encoder, tokens, layer)
        return pool(states, tokens, pooling, ~torch.isin(tokens.input_ids, surrounding))

    found = np.zeros((len(once.lengths), model.encoder.hidden_size), np.float32)
    for rows, value in infer(once, vectors, settings, progress=progress):
        found[rows] = value.cpu().numpy()
    return found[place]


def embed_layers(
    sequences: Sequences,
    special: Sequence[int],
    model: TrainedModel,
    settings: Settings,
    *,
    pooling: str,
    progress: Callable[..., None] | None = None,
) -> Vectors:
    """Pooled vectors of every layer, from one forward pass: float32 (layers + 1, sequences, width)."""
    once, place = distinct_sequences(sequences)
    surrounding = torch.tensor(special, device=settings.device)
    found = np.zeros((model.encoder.layers + 1, len(once.lengths), model.encoder.hidden_size), np.float32)

    def vectors(tokens: PackedTokens, _: Rows) -> Tensor:
        counted = ~torch.isin(tokens.input_ids, surrounding)
        return torch.stack([pool(states, tokens, pooling, counted) for states in model.encoder.every_layer(tokens)])

    for rows, value in infer(once, vectors, settings, progress=progress):
        found[:, rows] = value.cpu().numpy()
    return found[:, place]


def special_ids(table: EncodedTable) -> list[int]:
    """Ids of the tokenizer's special tokens that stand around texts."""
    return [number for role, number in table.info["special_ids"].items() if role in ("cls", "sep", "pad")]


def distinct_sequences(sequences: Sequences) -> tuple[Sequences, Rows]:
    """The distinct sequences, and where each sequence is among them.

    Pools of sentences repeat: an English sentence stands beside several languages, a candidate in several contexts.
    Equal sequences then also have equal vectors to the last bit, whatever batch they would have been in.
    """
    first: dict[bytes, int] = {}
    place = np.zeros(len(sequences.lengths), np.int64)
    kept: list[int] = []
    raw, bounds = sequences.ids.tobytes(), (sequences.offsets * sequences.ids.itemsize).tolist()
    for row, (low, high) in enumerate(pairwise(bounds)):
        number = first.setdefault(raw[low:high], len(first))
        if number == len(kept):
            kept.append(row)
        place[row] = number
    return sequences.take(np.array(kept, dtype=np.int64)), place
