"""Attention over packed sequences, registered with transformers as the implementation `xtreme_packed`.

Every sequence attends within itself. There is never a mask over all tokens of the batch: its cost grows with the
square of the batch. On CUDA in half precision torch's `varlen_attn` does it (or flash-attention's, where installed,
which keeps attention dropout); elsewhere the sequences go through scaled dot product attention one by one, neighbours
of equal length together, which on a CPU is faster than padding them into groups, because nothing is computed for the
padding and nothing is gathered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

NAME = "xtreme_packed"


@dataclass(frozen=True, kw_only=True)
class Boundaries:
    """What attention has to know about the packing.

    Attributes:
        bounds: int32 `[sequences + 1]`.
        lengths: the lengths on the host; only the backend `split` reads them.
        longest: an upper bound of the lengths.
        backend: `split`, `varlen` or `flash`.
    """

    bounds: Tensor
    lengths: tuple[int, ...]
    longest: int
    backend: str


@cache
def flash_attention_installed() -> bool:
    """Whether the flash-attention package is there."""
    from importlib.util import find_spec

    return find_spec("flash_attn") is not None


def backend_for(device: torch.device, dtype: torch.dtype) -> str:
    """The fastest backend that a device and the dtype of the queries allow."""
    if device.type == "cuda" and dtype in (torch.bfloat16, torch.float16):
        return "flash" if flash_attention_installed() else "varlen"
    return "split"


def drops_attention(backend: str) -> bool:
    """Whether a backend applies attention dropout: torch's `varlen_attn` fixes it to 0."""
    return backend != "varlen"


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    packing: Boundaries,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention within sequences.

    Args:
        module: the calling attention layer (unused; part of transformers' interface).
        query: `[1, heads, tokens, size]`; key and value likewise.
        key: see query.
        value: see query.
        attention_mask: always None for packed batches.
        packing: the boundaries.
        dropout: probability of dropping an attention weight.
        scaling: factor of the scores, `size ** -0.5` when None.
        sliding_window: a token attends to those at a smaller distance than this (ModernBERT's local layers).

    Returns:
        `[1, tokens, heads, size]` and None (no weights).
    """
    if packing.backend == "varlen":
        return varlen_attention(query, key, value, packing, scaling, sliding_window), None
    if packing.backend == "flash":
        return flash_attention(query, key, value, packing, dropout, scaling, sliding_window), None
    return split_attention(query, key, value, packing, dropout, scaling, sliding_window), None


def split_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    packing: Boundaries,
    dropout: float,
    scaling: float | None,
    window: int | None = None,
) -> Tensor:
    """Each sequence by itself, neighbours of equal length in one call, on any device and in any precision.

    With dropout every sequence has a call of its own, so that what is dropped does not depend on its neighbours'
    lengths. In training on a CPU the products of half-precision states are fp32: torch's backward pass of half-precision
    attention is four to nine times slower there for sequences of up to 130 tokens.
    """
    if query.device.type == "cpu" and query.dtype != torch.float32 and query.requires_grad:
        with torch.autocast("cpu", enabled=False):
            wide = split_attention(query.float(), key.float(), value.float(), packing, dropout, scaling, window)
        return wide.to(query.dtype)
    heads = query.shape[1]
    groups = [(length, 1) for length in packing.lengths] if dropout else runs(packing.lengths)
    # One split, not a slice for each group: a slice's gradient is as long as the batch, a split's is the group's own.
    sizes = [length * count for length, count in groups]
    parts = []
    for (length, count), *cut in zip(
        groups, *(states[0].split_with_sizes(sizes, dim=1) for states in (query, key, value)), strict=True
    ):
        q, k, v = (states.view(heads, count, length, -1).transpose(0, 1) for states in cut)
        near = None if window is None or length <= window else _near(length, window, q.device)
        out = functional.scaled_dot_product_attention(q, k, v, near, dropout_p=dropout, scale=scaling)
        parts.append(out.transpose(1, 2).flatten(0, 1))
    return torch.cat(parts).unsqueeze(0)


def _near(length: int, window: int, device: torch.device) -> Tensor:
    """Which tokens of a sequence each of its tokens attends to, bool `[length, length]`."""
    place = torch.arange(length, device=device)
    return (place[:, None] - place).abs() < window


def runs(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbouring sequences of equal length: (length, how many), in order."""
    return [(length, sum(1 for _ in same)) for length, same in groupby(lengths)]


def varlen_attention(
    query: Tensor, key: Tensor, value: Tensor, packing: Boundaries, scaling: float | None, window: int | None = None
) -> Tensor:
    """Torch's variable-length attention: CUDA, half precision, no attention dropout."""
    from torch.nn.attention.varlen import varlen_attn

    longest = packing.longest
    usual = scaling is None or math.isclose(scaling, query.shape[-1] ** -0.5)
    extra: Any = {} if usual else {"scale": scaling}
    if window is not None:
        extra["window_size"] = (window - 1, window - 1)
    out = varlen_attn(
        _flat(query),
        _flat(key),
        _flat(value),
        packing.bounds,
        packing.bounds,
        longest,
        longest,
        **extra,
    )
    return cast(Tensor, out).unsqueeze(0)


def flash_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    packing: Boundaries,
    dropout: float,
    scaling: float | None,
    window: int | None = None,
) -> Tensor:
    """flash-attention's variable-length attention: CUDA, half precision, with attention dropout."""
    from flash_attn import flash_attn_varlen_func  # type: ignore[import-not-found]

    out = flash_attn_varlen_func(
        _flat(query),
        _flat(key),
        _flat(value),
        packing.bounds,
        packing.bounds,
        packing.longest,
        packing.longest,
        dropout_p=dropout,
        softmax_scale=scaling,
        window_size=(-1, -1) if window is None else (window - 1, window - 1),
        deterministic=torch.are_deterministic_algorithms_enabled(),
    )
    return cast(Tensor, out).unsqueeze(0)


def _flat(states: Tensor) -> Tensor:
    """`[1, heads, tokens, size]` as `[tokens, heads, size]`."""
    return states[0].transpose(0, 1)


def register() -> None:
    """Makes `attn_implementation="xtreme_packed"` known to transformers (idempotent)."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, packed_attention)
    AttentionMaskInterface.register(NAME, _no_mask)


def _no_mask(*_: Any, **__: Any) -> None:
    """Gives packed batches no mask: the boundaries limit attention."""
    return
