"""Write an evaluation: one row per example, and the figures over them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from xtreme_dag.core.errors import UserError
from xtreme_dag.scoring.columns import added

# Scores come from single-precision sums whose last bits depend on the batch (relative differences around 1e-7). Rounded
# to four decimals, all but about one in a thousand come out equal whatever the batch.
SCORE_DECIMALS = 4
CLUSTER, CLUSTER_IF_ASKED = "cluster", "cluster_if_asked"
"""The columns that say which examples hang together: always resampled as a whole, or where that is asked for."""


def write_evaluation(
    out: Path,
    params: Mapping[str, Any],
    *,
    ids: Sequence[str],
    languages: Sequence[str],
    tokens: ArrayLike,
    gold: Sequence[str | None],
    predictions: Sequence[str | None],
    scores: ArrayLike,
    statistics: Mapping[str, NDArray[np.float64]],
    metrics: Mapping[str, float],
    primary: str,
    more: Mapping[str, pa.Array] | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Writes `predictions.parquet` and `scores.json`, which says how many examples were scored (`n`) of how many (`of`).

    Args:
        out: the artifact's folder.
        params: the stage's parameters: task, language, split; `metrics`, dotted names of metrics that the task adds to
            those given here (their columns are written too); `metric`, the primary one if not `primary`.
        ids: ids of the examples.
        languages: language of each example.
        tokens: tokens of each example, all its sequences together.
        gold: right outcome of each example as text, None where it is not known.
        predictions: predicted outcome of each example as text.
        scores: confidence of each prediction, rounded to `SCORE_DECIMALS`.
        statistics: sufficient statistics, `s_*`, float64 (examples,); NaN where the gold outcome is not known.
        metrics: figures of 0-100 over the examples with a known outcome; none if there are no such examples.
        primary: the metric that enters averages if the task names none.
        more: further columns (character offsets of an answer, ...).
        details: further keys of `scores.json` (the threshold of bitext mining, ...).
    """
    if params.get("metrics") and metrics:
        known = np.array([outcome is not None for outcome in gold], dtype=bool)
        rows = np.flatnonzero(known).tolist()
        own = {name: column[known] for name, column in statistics.items()}
        new, more_figures = added(params["metrics"], [gold[r] or "" for r in rows], [predictions[r] for r in rows], own)
        statistics, metrics = {**statistics, **spread(known, new)}, {**metrics, **more_figures}
    columns: dict[str, pa.Array] = {
        "id": pa.array(ids, pa.string()),
        "language": pa.array(languages, pa.string()),
        "gold": pa.array(gold, pa.string()),
        "prediction": pa.array(predictions, pa.string()),
        "score": pa.array(rounded(scores), pa.float32()),
        **{name: pa.array(column, pa.float64(), from_pandas=True) for name, column in statistics.items()},
        "tokens": pa.array(np.asarray(tokens), pa.int32()),
        **(more or {}),
    }
    write_parquet(pa.table(columns), out / "predictions.parquet")
    filled = [column for column in statistics.values() if len(column)]
    counted = int(np.count_nonzero(~np.isnan(filled[0]))) if filled else 0
    summary = {
        "task": params["task"],
        "language": params["language"],
        "split": params["split"],
        "n": counted,
        **({"of": len(ids)} if counted < len(ids) else {}),
        "metrics": {name: float(value) for name, value in metrics.items()},
        "primary": params.get("metric", primary),
        **(details or {}),
    }
    write_json(summary, out / "scores.json")


def write_parquet(table: pa.Table, path: Path) -> None:
    """A Parquet file whose bytes are a function of its content."""
    pq.write_table(table, path, compression="zstd", row_group_size=65_536)


def write_json(value: Any, path: Path) -> None:
    """A JSON file whose bytes are a function of its content."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def rounded(values: ArrayLike) -> NDArray[np.float32]:
    """Values to `SCORE_DECIMALS`, in single precision; no negative zero."""
    return (np.round(np.asarray(values, dtype=np.float64), SCORE_DECIMALS) + 0.0).astype(np.float32)


def spread(known: NDArray[np.bool_], statistics: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Statistics of the examples with a known outcome at their places among all examples, NaN elsewhere."""
    if known.all():
        return dict(statistics)
    columns = {}
    for name, column in statistics.items():
        columns[name] = np.full(len(known), np.nan)
        columns[name][known] = column
    return columns


def cluster_columns(params: Mapping[str, Any], rows: pa.Table) -> dict[str, pa.Array]:
    """The column that says which examples hang together, if the format has one: the id of the first of each group.

    Ids are the same in every language of a parallel dataset, so groups are too.

    Args:
        params: of the stage; `declared`: the fields `cluster` and `cluster_if_asked` of the table's format, if it has groups.
        rows: its rows that are examples.

    Returns:
        `cluster`, or `cluster_if_asked` where the format says so; nothing for a format without groups.
    """
    declared = params.get("declared")
    if not declared:
        return {}
    first: dict[str, str] = {}
    pairs = zip(rows[declared["cluster"]].to_pylist(), rows["id"].to_pylist(), strict=True)
    names = [first.setdefault(value, name) for value, name in pairs]
    return {CLUSTER_IF_ASKED if declared["cluster_if_asked"] else CLUSTER: pa.array(names, pa.string())}


def rows_in_order(table: pa.Table, ids: Sequence[str], where: str) -> pa.Table:
    """The rows of a canonical table that were encoded, in the order of the encoded examples.

    Raises:
        UserError: the encoded table was not made from this table.
    """
    names = table["id"].to_pylist()
    if names == list(ids):
        return table
    place = {name: row for row, name in enumerate(names)}
    missing = [name for name in ids if name not in place]
    if missing:
        raise UserError(
            f"{len(missing)} encoded examples are not in the table, the first is {missing[0]!r}",
            where=where,
            fix="encode the table again",
        )
    return table.take(pa.array([place[name] for name in ids], pa.int64()))
