"""Metrics: columns of statistics per example, their sums, and a figure of 0-100 from the sums.

A metric is one entry, `Metric`. A family is a module-level `Family` beside the `statistics` function that gives its
columns; a stage that scores a task names that family, so that a repaired metric re-runs only the stages that use it.
A task can add metrics to those of its family: its catalogue entry lists them by dotted name (`metric_at`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xtreme_dag.core.errors import UserError, nearest

FloatArray = NDArray[np.float64]

Columns = Mapping[str, FloatArray]
"""Name of a sufficient statistic (`s_correct`, ...) -> float64 (examples,)."""

Sums = Mapping[str, FloatArray]
"""Name of a sufficient statistic -> its sum, all of one shape: () or (resamples,). `n` is the (weighted) count."""

Combiner = Callable[[Sums], FloatArray]
"""From sums to a figure of 0-100, over a leading axis of resamples."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric: a figure of 0-100, higher is better.

    Attributes:
        name: as the official scorer spells it.
        columns: the statistics whose sums `combine` takes, besides `n`, the count.
        combine: from sums to the figure; vectorised over a leading axis of resamples.
        is_mean: whether it is the mean of what it is on each example (accuracy, answer F1), not a ratio of sums.
        statistics: for a metric that a task adds to its family, its columns from gold and predicted outcomes as
            `predictions.parquet` has them; None where the family's own columns are enough.
    """

    name: str
    columns: tuple[str, ...]
    combine: Combiner
    is_mean: bool = False
    statistics: Callable[[Sequence[str], Sequence[str | None]], Columns] | None = None


@dataclass(frozen=True, kw_only=True)
class Family:
    """Metrics that share sufficient statistics.

    Attributes:
        metrics: in the order in which they are reported.
        primary: name of the one that enters averages.
    """

    metrics: tuple[Metric, ...]
    primary: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The statistics of all its metrics, besides `n`."""
        return tuple(dict.fromkeys(column for metric in self.metrics for column in metric.columns))


def ratio(name: str, part: str, whole: str = "n") -> Metric:
    """A metric that is the percentage of one sum in another; over `n` it is a mean of examples."""
    return Metric(
        name=name,
        columns=(part,) if whole == "n" else (part, whole),
        combine=lambda sums: 100.0 * fraction(sums[part], sums[whole]),
        is_mean=whole == "n",
    )


def fraction(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Divides, and gives 0 where the denominator is 0, as seqeval does."""
    empty = np.equal(denominator, 0.0)
    return np.where(empty, 0.0, numerator / np.where(empty, 1.0, denominator))


def harmonic(precision: FloatArray, recall: FloatArray) -> FloatArray:
    """The F1 of a precision and a recall, in the order of operations of the official scorers."""
    return fraction(2.0 * precision * recall, precision + recall)


def _overlap_f1(sums: Sums) -> FloatArray:
    return 100.0 * harmonic(fraction(sums["s_tp"], sums["s_pred"]), fraction(sums["s_tp"], sums["s_gold"]))


OVERLAP: tuple[Metric, ...] = (
    Metric(name="f1", columns=("s_tp", "s_pred", "s_gold"), combine=_overlap_f1),
    ratio("precision", "s_tp", "s_pred"),
    ratio("recall", "s_tp", "s_gold"),
)
"""Micro-averaged F1, precision and recall of sets: chunks (seqeval), pairs (BUCC)."""


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


def figures(metrics: Iterable[Metric], columns: Columns) -> dict[str, float]:
    """Every metric over the examples of some columns: name -> figure of 0-100."""
    sums = column_sums(columns)
    return {metric.name: float(metric.combine(sums)) for metric in metrics}


def metric_at(name: str) -> Metric:
    """The metric that a dotted name (`package.module:NAME`) stands for.

    Raises:
        UserError: there is no such metric.
    """
    module, _, attribute = name.partition(":")
    try:
        found = vars(import_module(module))
    except (ImportError, ValueError) as error:
        raise UserError(f"no metric {name!r} ({error})", fix="write `package.module:NAME`") from None
    if not isinstance(found.get(attribute), Metric):
        valid = [key for key, value in found.items() if isinstance(value, Metric)]
        raise UserError(f"{module} has no metric {attribute!r}", fix=nearest(attribute, valid))
    metric: Metric = found[attribute]
    return metric


def added(
    names: Iterable[str], gold: Sequence[str], predicted: Sequence[str | None], columns: Columns
) -> tuple[dict[str, FloatArray], dict[str, float]]:
    """Columns and figures of the metrics that a task adds to those of its family.

    Args:
        names: dotted names of the metrics.
        gold: the right outcomes as text, (examples,).
        predicted: the predicted outcomes as text, None where there is none.
        columns: the family's own columns, (examples,).

    Returns:
        The columns that are new, and name -> figure of 0-100.
    """
    new: dict[str, FloatArray] = {}
    found: dict[str, float] = {}
    for metric in map(metric_at, names):
        own = columns if metric.statistics is None else metric.statistics(gold, predicted)
        new |= {name: own[name] for name in metric.columns if name not in columns}
        found |= figures([metric], {name: own[name] for name in metric.columns})
    return new, found
