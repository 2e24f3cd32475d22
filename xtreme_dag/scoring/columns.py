"""What passes between the metric modules: named columns with one number per example, and sums of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

Columns = Mapping[str, FloatArray]
"""Name of a sufficient statistic (`s_correct`, ...) -> float64 (examples,)."""

Sums = Mapping[str, FloatArray]
"""Name of a sufficient statistic -> its sum, all of one shape: () or (resamples,). `n` is the (weighted) count."""


def column_sums(columns: Columns, weights: ArrayLike | None = None) -> dict[str, FloatArray]:
    """Sums columns over examples, once or for many resamples.

    Args:
        columns: sufficient statistics, each (examples,).
        weights: how often each example counts: None (once), (examples,) or (resamples, examples).

    Returns:
        The sums, and `n`, the number or total weight of the examples: each () or (resamples,).

    Raises:
        ValueError: no column, or columns of different lengths.
    """
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise ValueError(f"columns of one length are needed, not of {sorted(lengths)}")
    if weights is None:
        sums = {name: np.asarray(np.sum(column), dtype=np.float64) for name, column in columns.items()}
        return {**sums, "n": np.asarray(float(lengths.pop()))}
    weight = np.asarray(weights, dtype=np.float64)
    return {**{name: weight @ column for name, column in columns.items()}, "n": weight.sum(axis=-1)}
