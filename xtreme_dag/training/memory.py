"""Running out of memory: recognised, and reported with the batch that did it and what to lower."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from xtreme_dag.errors import UserError
from xtreme_dag.training.pools import HostBatch

# What torch's CPU allocator says; on CUDA there is an exception class of its own.
_CPU_MESSAGES = ("can't allocate memory", "not enough memory")


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, on any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _CPU_MESSAGES)


def out_of_memory_advice(step: int, batches: Sequence[HostBatch]) -> UserError:
    """The error to show: the largest micro-batch of the step, and what to lower."""
    largest = max(batches, key=lambda batch: int(batch.lengths.sum()))
    tokens = int(largest.lengths.sum())
    return UserError(
        f"memory ran out at step {step}, on {len(largest)} examples with {tokens:,} tokens "
        f"(the longest sequence has {int(largest.lengths.max()):,})",
        where="training",
        fix=f"set recipe.micro_batch_tokens below {tokens:,} (the effective batch stays the same), set "
        "recipe.out_of_memory: halve, or lower max_length",
    )
