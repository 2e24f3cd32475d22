"""Report running out of memory in training: the batch that did it, and what to lower."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from xtreme_dag.core.errors import UserError
from xtreme_dag.heads.batches import HostBatch
from xtreme_dag.model.memory import ran_out_of_memory


@dataclass(frozen=True, kw_only=True)
class Shortage:
    """The largest micro-batch of a step that ran out of memory.

    Attributes:
        examples: its examples.
        tokens: its tokens.
        longest: tokens of its longest sequence.
        message: the first line of what the allocator said.
    """

    examples: int
    tokens: int
    longest: int
    message: str


def shortage_of(batches: Sequence[HostBatch], message: str) -> Shortage:
    """The shortage of a step with these micro-batches."""
    largest = max(batches, key=lambda batch: int(batch.lengths.sum()))
    return Shortage(
        examples=len(largest),
        tokens=int(largest.lengths.sum()),
        longest=int(largest.lengths.max()),
        message=(message.strip().splitlines() or [""])[0],
    )


def out_of_memory_advice(step: int, shortage: Shortage, *, halving: bool) -> UserError:
    """The error to show: the batch that did it, and what to lower.

    Args:
        step: optimizer step.
        shortage: what ran out.
        halving: whether halving the micro-batch is possible here (several examples, one process).
    """
    cut = f"set recipe.micro_batch_tokens below {shortage.tokens:,} (the effective batch stays the same)"
    if halving:
        fix = f"{cut}, set recipe.out_of_memory: halve, or lower max_length"
    elif shortage.examples > 1:
        fix = f"{cut}, or lower max_length"
    else:
        fix = "lower max_length, or set recipe.activation_checkpointing: true"
    return UserError(
        f"memory ran out at step {step}, on {shortage.examples} examples with {shortage.tokens:,} tokens "
        f"(the longest sequence has {shortage.longest:,}): {shortage.message}",
        where="training",
        fix=fix,
    )


@contextmanager
def beyond_the_batch(doing: str) -> Iterator[None]:
    """Turns an out-of-memory error that no smaller micro-batch would avoid into advice.

    Args:
        doing: what is being done.

    Raises:
        UserError: memory ran out inside.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not ran_out_of_memory(error):
            raise
        message = (str(error).strip().splitlines() or [""])[0]
        raise UserError(
            f"memory ran out in {doing}: {message}",
            where="training",
            fix="weights, gradients, moments and the batch do not fit beside each other: take a smaller model or batch, "
            "or recipe.strategy: fsdp on several devices",
        ) from error
