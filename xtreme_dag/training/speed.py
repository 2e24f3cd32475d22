"""Tokens per second, model flops and memory: figures for the log, never for the artifact."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import torch

from xtreme_dag.model.encoder import PackedEncoder
from xtreme_dag.study.train_recipe import FROZEN_OPERATIONS, TRAIN_OPERATIONS

_SIZE = {"cuda": 8_192, "cpu": 1_024}
_REPEATS = {"cuda": 5, "cpu": 2}  # a CPU takes 30 ms for each


class Meter:
    """Speed since the last reading.

    Args:
        encoder: what is trained.
        device: where.
        reduced: whether matrix products run in bf16.
        frozen: whether the encoder's weights stay as they are, and only what is beside them trains.
    """

    def __init__(self, encoder: PackedEncoder, device: torch.device, *, reduced: bool, frozen: bool = False) -> None:
        self._encoder = encoder
        self._device = device
        self._reduced = reduced
        self._operations = FROZEN_OPERATIONS if frozen else TRAIN_OPERATIONS
        self._tokens = self._examples = 0
        self._flops = 0.0
        self._start = time.perf_counter()
        self.total_tokens = self.total_examples = 0

    def add(self, lengths: tuple[int, ...], examples: int) -> None:
        """Counts a forward and backward pass over sequences of these lengths."""
        tokens = sum(lengths)
        self._tokens += tokens
        self._examples += examples
        self.total_tokens += tokens
        self.total_examples += examples
        self._flops += training_flops(self._encoder, lengths, self._operations)

    def read(self) -> dict[str, float]:
        """The figures since the last reading; the caller has synchronised the device."""
        seconds = max(time.perf_counter() - self._start, 1e-9)
        figures = {
            "tokens_per_s": self._tokens / seconds,
            "examples_per_s": self._examples / seconds,
            "mfu": self._flops / seconds / matmul_rate(self._device, self._reduced),
            "memory_mb": memory_mb(self._device),
        }
        self._tokens = self._examples = 0
        self._flops = 0.0
        self._start = time.perf_counter()
        return figures


def training_flops(encoder: PackedEncoder, lengths: tuple[int, ...], operations: int = TRAIN_OPERATIONS) -> float:
    """Floating point operations of a forward and backward pass over sequences of these lengths.

    `operations` per weight of the layers and token, and twelve x hidden x length per layer and token for attention
    (Chowdhery et al. 2022, appendix B); embeddings, heads and adapters are left out, recomputation is not counted.
    """
    hidden, layers = encoder.hidden_size, encoder.layers
    inner = int(getattr(encoder.config, "intermediate_size", 4 * hidden))
    weights = layers * (4 * hidden * hidden + 2 * hidden * inner)
    tokens = sum(lengths)
    return operations * weights * tokens + 12.0 * layers * hidden * sum(length * length for length in lengths)


@cache
def matmul_rate(device: torch.device, reduced: bool) -> float:
    """Floating point operations per second of one large matrix product on this device, measured once."""
    size = _SIZE.get(device.type, 1_024)
    dtype = torch.bfloat16 if reduced else torch.float32
    generator = torch.Generator(device).manual_seed(0)  # random numbers: a GPU multiplies constants faster
    left = torch.randn(size, size, generator=generator, device=device, dtype=dtype)
    torch.mm(left, left)
    best = float("inf")
    for _ in range(_REPEATS.get(device.type, 2)):
        synchronise(device)
        start = time.perf_counter()
        torch.mm(left, left)
        synchronise(device)
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best


def synchronise(device: torch.device) -> None:
    """Waits for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def memory_mb(device: torch.device) -> float:
    """Peak memory: of the device on CUDA, of the process elsewhere; megabytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    import resource

    usage: Any = resource.getrusage(resource.RUSAGE_SELF)
    return float(usage.ru_maxrss) / 2**10
