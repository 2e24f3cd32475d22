"""Resamples of examples as weights, so that any metric of sums is a matrix product away.

A resample of n examples is a vector of counts that sum to n. All sufficient statistics that sit on the same rows are
reweighted at once: counts (resamples, n) @ columns (n, c). The counts are small integers and most statistics too,
so single precision is exact for sums below 2**24.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_BLOCK_BYTES = 4 << 20


def counts(n: int, resamples: int, rng: np.random.Generator) -> Iterator[NDArray[np.float32]]:
    """How often each of n rows is drawn in each resample, in blocks of (some resamples, n); the buffer is reused."""
    rows = max(1, min(resamples, _BLOCK_BYTES // (4 * max(n, 1))))
    buffer = np.empty((rows, n), dtype=np.float32)
    for start in range(0, resamples, rows):
        block = buffer[: min(rows, resamples - start)]
        for row in block:
            row[:] = np.bincount(rng.integers(0, n, n), minlength=n)
        yield block


def resampled_sums(columns: NDArray[np.float32], resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Sums of columns over resampled rows.

    Args:
        columns: statistics (n, c); rows are what is drawn.
        resamples: number of resamples.
        rng: the source of chance.

    Returns:
        (resamples, c).
    """
    return np.concatenate([block @ columns for block in counts(len(columns), resamples, rng)]).astype(np.float64)


def generator(seed: int, *names: str) -> np.random.Generator:
    """A stream of its own for each seed and name, whatever else is computed before or after."""
    return np.random.Generator(np.random.PCG64([seed, *(zlib.crc32(name.encode()) for name in names)]))
