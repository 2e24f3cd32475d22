"""Recognise out-of-memory errors on any device."""

from __future__ import annotations

import torch

# What torch's CPU allocator, oneDNN and C++ itself say; on CUDA there is an exception class of its own.
_CPU_MESSAGES = ("can't allocate memory", "not enough memory", "could not create a primitive", "std::bad_alloc")


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, on any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _CPU_MESSAGES)
