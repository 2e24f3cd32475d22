"""Compute a transformer layer for the first token of each sequence only, without keys and values of the others.

With one query a sequence, the key matrix can go to the query and the value matrix behind the sum. The score of a token
x under a query q is q (Wk x + bk): (q Wk) x, and a constant that softmax does not see. The weighted sum of the values
Wv x + bv is Wv applied to the weighted sum of x, plus bv, because the weights sum to 1. A token then costs
4 x heads x hidden operations in place of 4 x hidden^2 for its key and value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from xtreme_dag.model.attention import runs


def layer_of_firsts(layer: Any, states: Tensor, first: Tensor, lengths: Sequence[int]) -> Tensor:
    """What a layer gives for the first token of each sequence, to rounding.

    Args:
        layer: a layer of BERT's kind (norms behind the sums), not in training: dropout is not applied to the weights.
        states: `[tokens, hidden]`, what goes into the layer, packed.
        first: int64 `[sequences]`, where each sequence starts.
        lengths: tokens of each sequence.

    Returns:
        `[sequences, hidden]`.
    """
    attention = layer.attention.self
    shape = (attention.num_attention_heads, attention.attention_head_size, -1)
    own = states.index_select(0, first)
    query = attention.query(own).view(len(own), *shape[:2])
    asked = torch.einsum("nhs,hsw->nhw", query, attention.key.weight.view(shape)) * attention.scaling
    seen, row, token = [], 0, 0
    for length, count in runs(lengths):
        inside = states[token : token + count * length].view(count, length, -1)
        weights = (asked[row : row + count] @ inside.mT).softmax(dim=-1)
        seen.append(weights @ inside)
        row, token = row + count, token + count * length
    summed = torch.einsum("nhw,hsw->nhs", torch.cat(seen), attention.value.weight.view(shape)).flatten(1)
    attended = layer.attention.output((summed + attention.value.bias).unsqueeze(0), own.unsqueeze(0))
    found: Tensor = layer.feed_forward_chunk(attended).squeeze(0)
    return found
