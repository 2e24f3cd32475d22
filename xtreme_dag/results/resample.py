"""Resamples of examples as weights, so that any metric that is computed from sums is a matrix product away.

A resample of n examples is a vector of counts that sum to n. All sufficient statistics that sit on the same rows are
reweighted at once: counts (resamples, n) @ columns (n, c). The counts are small integers and most statistics too,
so single precision is exact for sums below 2**24.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 20  # counts that a matrix product takes at once
_FEW = 4096  # kinds of rows that are told apart at most
_PAYS = 20  # rows for each kind from which on a multinomial draw is cheaper
_COUNTED = 1 << 16  # counts that are made at once: they stay in the cache


def counts(n: int, resamples: int, rng: np.random.Generator) -> Iterator[NDArray[np.float32]]:
    """How often each of n rows is drawn in each resample, in blocks of (some resamples, n); the buffer is reused."""
    rows = max(1, min(resamples, _BLOCK // n))
    at_once = max(1, min(rows, _COUNTED // n))
    offsets = (np.arange(at_once) * n)[:, None]
    buffer = np.empty((rows, n), dtype=np.float32)
    for start in range(0, resamples, rows):
        block = buffer[: min(rows, resamples - start)]
        for first in range(0, len(block), at_once):
            part = block[first : first + at_once]
            drawn = rng.integers(0, n, (len(part), n)) + offsets[: len(part)]
            part[:] = np.bincount(drawn.ravel(), minlength=part.size).reshape(part.shape)
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


def sums_of_kinds(columns: NDArray[np.float32], resamples: int, rng: np.random.Generator) -> NDArray[np.float64] | None:
    """The same where few kinds of rows occur, or None.

    Rows that are alike need not be told apart: right and wrong under six runs are 64 kinds of examples at most. How
    often each kind is drawn is one multinomial draw; the sums have the same distribution and cost next to nothing.
    """
    kinds = _kinds(columns)
    if kinds is None:
        return None
    rows, often = kinds
    drawn: NDArray[np.float64] = rng.multinomial(len(columns), often / len(columns), size=resamples) @ rows
    return drawn


def _kinds(columns: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    """The distinct rows and how often each occurs, if they are small whole numbers and so few that it pays."""
    sizes = columns.max(axis=0) + 1
    if columns.min() < 0 or np.prod(sizes, dtype=np.float64) > _FEW or not np.array_equal(np.rint(columns), columns):
        return None
    radix = np.cumprod(np.concatenate([[1], sizes[:-1]]), dtype=np.float32)  # below _FEW: exact
    often = np.bincount((columns @ radix).astype(np.int64))
    codes = np.flatnonzero(often)
    if len(codes) * _PAYS > len(columns):
        return None
    return (codes[:, None] // radix % sizes).astype(np.float64), often[codes]


def generator(seed: int, *names: str) -> np.random.Generator:
    """A stream of its own for each seed and name, whatever else is computed before or after."""
    return np.random.Generator(np.random.PCG64([seed, *(zlib.crc32(name.encode()) for name in names)]))
