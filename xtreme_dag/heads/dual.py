"""A dual encoder (LAReQA, Mewsli-X): a query's and a candidate's vectors, in-batch softmax over their cosines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xtreme_dag.heads import Export, Head, HeadSpec, Training

if TYPE_CHECKING:
    from xtreme_dag.heads import signatures as t


def sequences(table: t.Table, params: t.EncodeParams, tokenizer: t.TextTokenizer) -> t.Encoded:
    """Two sequences per example: the query and its (first) gold candidate, or a text and its translation."""
    from dataclasses import replace

    import numpy as np

    from xtreme_dag.heads.encoding import side_numbers
    from xtreme_dag.heads.sides import both_sides, pairs, side_texts

    if "english" in table.column_names:
        return both_sides(table, params, tokenizer)
    written = side_texts(table, params.format)
    position = {name: row for row, name in enumerate(table["id"].to_pylist())}
    asking = np.flatnonzero(side_numbers(table, params.format) == 0)
    gold = table["gold"].to_pylist()
    found = [(row, position[gold[row][0]]) for row in asking if gold[row] and gold[row][0] in position]
    queries = tokenizer.encode([written[row] for row, _ in found], None, params.query_length)
    candidates = tokenizer.encode([written[row] for _, row in found], None, params.max_length)
    encoded = pairs(np.array([row for row, _ in found], dtype=np.int64), queries, candidates)
    return replace(encoded, counts={"queries_without_gold": len(asking) - len(found)})


def build(spec: HeadSpec, config: Any, embeddings: t.Tensor) -> t.HeadModule:
    """Unit vectors of the first tokens."""
    from xtreme_dag.model.layers import UnitVectors

    return UnitVectors(int(config.hidden_size))


def gold(batch: t.HostBatch) -> dict[str, t.Array]:
    """Rows of the `queries` and, in the same order, of their `candidates`, int64 `[examples]`."""
    side = batch.sequence_gold["side"]
    return {"queries": (side == 0).nonzero()[0], "candidates": (side == 1).nonzero()[0]}


def loss(layers: t.HeadModule, scores: t.Tensor, gold: dict[str, t.Tensor]) -> t.Tensor:
    """In-batch softmax: each query against all candidates of the batch, its own being the right one."""
    import torch
    from torch.nn import functional

    queries, candidates = scores.index_select(0, gold["queries"]), scores.index_select(0, gold["candidates"])
    with torch.autocast(scores.device.type, enabled=False):
        cosines = _log_scale(layers).exp() * (queries @ candidates.T)
    return functional.cross_entropy(cosines, torch.arange(len(queries), device=cosines.device), reduction="sum")


def pull(layers: t.HeadModule, scores: t.Tensor, gradient: t.Tensor) -> t.Tensor:
    """The inner product of vectors and the gradient with respect to them; the factor on cosines has none."""
    return (scores * gradient).sum() + _log_scale(layers) * 0.0


def _log_scale(layers: Any) -> t.Tensor:
    """The trainable factor on cosines, as a logarithm; a scalar."""
    scale: t.Tensor = layers.log_scale.squeeze()
    return scale


def right(scores: t.Tensor, gold: dict[str, t.Tensor]) -> t.Tensor:
    """Queries whose own candidate is the nearest."""
    import torch

    queries, candidates = scores[gold["queries"]], scores[gold["candidates"]]
    nearest = (queries @ candidates.T).argmax(dim=1)
    return (nearest == torch.arange(len(queries), device=scores.device)).sum()


HEAD = Head(
    name="dual",
    formats=("parallel", "parallel_text", "bitext_mining", "qa_retrieval", "entity_linking"),
    sequences=sequences,
    training=Training(
        build=build, columns={"sequence": ("side",)}, gold=gold, units=len, loss=loss, right=right, pull=pull
    ),
)
EXPORT = Export(
    formula='torch.nn.functional.normalize(torch.tanh(first @ head["dense.weight"].T + head["dense.bias"]), dim=-1)',
)
