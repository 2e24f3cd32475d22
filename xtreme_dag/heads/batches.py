"""Batches of examples on the host, sequences end to end, with the gold that a head's loss needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class HostBatch:
    """Examples on the host, sequences end to end.

    Attributes:
        ids: int32 `[tokens]`.
        types: int8 `[tokens]` or None.
        lengths: int64 `[sequences]`.
        per_example: sequences of each example, int64 `[examples]`.
        example_gold: name -> one value, or one row of values, per example.
        sequence_gold: name -> one value per sequence.
        token_gold: name -> one value per token.
    """

    ids: npt.NDArray[np.int32]
    types: npt.NDArray[np.int8] | None
    lengths: Ints
    per_example: Ints
    example_gold: dict[str, Array]
    sequence_gold: dict[str, Array]
    token_gold: dict[str, Array]

    def __len__(self) -> int:
        return len(self.per_example)

    @cached_property
    def sequence_bounds(self) -> Ints:
        """Sequences of example `i` are `bounds[i]:bounds[i + 1]`."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.per_example)])

    @cached_property
    def token_bounds(self) -> Ints:
        """Tokens of sequence `i` are `bounds[i]:bounds[i + 1]`."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.lengths)])

    @cached_property
    def tokens_per_example(self) -> Ints:
        """Tokens of each example, all its sequences together."""
        return np.diff(self.token_bounds[self.sequence_bounds])

    def part(self, low: int, high: int) -> HostBatch:
        """Examples `low` to `high`."""
        sequences = slice(int(self.sequence_bounds[low]), int(self.sequence_bounds[high]))
        tokens = slice(int(self.token_bounds[sequences.start]), int(self.token_bounds[sequences.stop]))
        return HostBatch(
            ids=self.ids[tokens],
            types=None if self.types is None else self.types[tokens],
            lengths=self.lengths[sequences],
            per_example=self.per_example[low:high],
            example_gold={name: column[low:high] for name, column in self.example_gold.items()},
            sequence_gold={name: column[sequences] for name, column in self.sequence_gold.items()},
            token_gold={name: column[tokens] for name, column in self.token_gold.items()},
        )

    def with_tokens(self, ids: npt.NDArray[np.int32], **gold: Array) -> HostBatch:
        """The same examples with other token ids and further per-token gold (masked language modelling)."""
        return replace(self, ids=ids, token_gold={**self.token_gold, **gold})


class Masking(Protocol):
    """Masks tokens, which makes the gold of a head whose gold is the text itself."""

    def apply(self, batch: HostBatch, seed: int, step: int) -> HostBatch:
        """The batch with other token ids and the gold that its head needs: a function of (seed, step) and the batch."""


def grid(starts: Ints, lengths: Ints) -> dict[str, Array]:
    """Ragged rows as a rectangle of indices, `rows`, and which of its cells are real, `inside`."""
    across = np.arange(int(lengths.max()))[None, :]
    inside = across < lengths[:, None]
    return {"rows": np.where(inside, starts[:, None] + across, 0), "inside": inside}
