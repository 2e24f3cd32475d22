"""Packed sequences: tokens end to end, with the boundaries that attention must respect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

# Padding comes in sequences of this many tokens at most, so that it does not make the longest one longer.
_PADDING = 128


@dataclass(frozen=True, kw_only=True)
class PackedTokens:
    """Token sequences end to end, without padding.

    Attributes:
        input_ids: int64 `[tokens]`.
        positions: int64 `[tokens]`, place of each token in its own sequence, from 0.
        type_ids: int64 `[tokens]` or None.
        bounds: int32 `[sequences + 1]`; sequence `i` is `bounds[i]:bounds[i + 1]`.
        lengths: the same boundaries as lengths on the host, so that nobody asks the device for them.
    """

    input_ids: Tensor
    positions: Tensor
    type_ids: Tensor | None
    bounds: Tensor
    lengths: tuple[int, ...]

    @property
    def first(self) -> Tensor:
        """Where each sequence starts, int64 `[sequences]`."""
        return self.bounds[:-1].long()

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return max(self.lengths, default=0)

    @property
    def sequences(self) -> int:
        """How many sequences there are."""
        return len(self.lengths)

    def sequence_of_token(self) -> Tensor:
        """The sequence of each token, int64 `[tokens]`."""
        counts = (self.bounds[1:] - self.bounds[:-1]).long()
        return torch.repeat_interleave(
            torch.arange(self.sequences, device=counts.device), counts, output_size=len(self.input_ids)
        )


def pack(
    ids: npt.NDArray[Any] | Sequence[Sequence[int]],
    lengths: npt.NDArray[np.int64] | None = None,
    *,
    type_ids: npt.NDArray[Any] | None = None,
    device: str | torch.device = "cpu",
) -> PackedTokens:
    """Packs sequences.

    Args:
        ids: token ids end to end `[tokens]` with `lengths`, or a list of sequences (lengths then come from it).
        lengths: tokens of each sequence, all at least 1.
        type_ids: token types end to end, for encoders that use them.
        device: where the tensors go; the copy does not wait.
    """
    if lengths is None:
        lengths = np.array([len(row) for row in ids], dtype=np.int64)
        ids = np.concatenate([np.asarray(row, dtype=np.int64) for row in ids]) if len(lengths) else np.zeros(0, int)
    flat = np.asarray(ids)
    if int(lengths.sum()) != len(flat) or (len(lengths) and int(lengths.min()) < 1):
        raise ValueError(f"{len(flat)} tokens are not {len(lengths)} sequences of {int(lengths.sum())} tokens in all")
    bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    positions = np.arange(len(flat)) - np.repeat(bounds[:-1], lengths)
    return PackedTokens(
        input_ids=to_device(flat.astype(np.int64), device),
        positions=to_device(positions, device),
        type_ids=None if type_ids is None else to_device(np.asarray(type_ids).astype(np.int64), device),
        bounds=to_device(bounds.astype(np.int32), device),
        lengths=tuple(lengths.tolist()),
    )


def bucketed(tokens: PackedTokens, size: int, pad: int) -> PackedTokens:
    """The tokens with padding at the end, as sequences of its own, so that their number is a multiple of `size`.

    Compiled and recorded code meets few shapes then. The real tokens come first and do not see the padding.

    Args:
        tokens: the packed tokens.
        size: the step of the bucket.
        pad: id of the padding token.
    """
    missing = -len(tokens.input_ids) % size
    if not missing:
        return tokens
    padding = torch.zeros(missing, dtype=torch.int64, device=tokens.positions.device)
    pieces = -(-missing // _PADDING)
    ends = torch.arange(1, pieces + 1, device=tokens.bounds.device, dtype=torch.int32) * _PADDING
    lengths = [min(_PADDING, missing - piece * _PADDING) for piece in range(pieces)]
    return PackedTokens(
        input_ids=torch.cat([tokens.input_ids, padding + pad]),
        positions=torch.cat([tokens.positions, padding]),
        type_ids=None if tokens.type_ids is None else torch.cat([tokens.type_ids, padding]),
        bounds=torch.cat([tokens.bounds, tokens.bounds[-1:] + ends.clamp(max=missing)]),
        lengths=(*tokens.lengths, *lengths),
    )


def to_device(array: npt.NDArray[Any], device: str | torch.device) -> Tensor:
    """A numpy array as a tensor on a device, copied from pinned memory where the device is a GPU."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
