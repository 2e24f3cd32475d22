"""Reads somebody's submission into rows of `predictions.parquet`, so that it can be compared example by example."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from xtreme_dag.core.errors import UserError
from xtreme_dag.scoring.columns import added
from xtreme_dag.submissions.folder import FolderTask, folder_tasks, judge_tasks
from xtreme_dag.submissions.judge import Judged
from xtreme_dag.submissions.write import Cell, asked_rows


def read_submission(
    predictions: Path,
    labels: Path,
    *,
    benchmark: str = "xtreme",
    canonical: Mapping[Cell, pa.Table] | None = None,
) -> tuple[dict[Cell, pa.Table], list[str]]:
    """Judges a submission folder, row by row.

    Files without ids (labels, tags, Tatoeba) are matched to the canonical tables by their order, so that their rows
    have the ids of our own runs. `score` is missing everywhere: a submission has none.

    Args:
        predictions: folder with `<task>/test-<language>.<suffix>`.
        labels: likewise; `submission.write_labels` makes one from canonical tables.
        benchmark: `xtreme` or `xtreme-r`.
        canonical: the test tables; without one, rows of files without ids are numbered from 0.

    Returns:
        Task and language -> columns `id`, `language`, `gold`, `prediction`, `score` and the `s_*` of its metric; and
        what is amiss, in words.

    Raises:
        UserError: a file that cannot be scored, or a table with another number of rows.
    """
    tables: dict[Cell, pa.Table] = {}
    warnings: list[str] = []
    for task, language, judged in judge_tasks(folder_tasks(benchmark), predictions, labels, warnings):
        cell = (task.name, language)
        table = (canonical or {}).get(cell)
        rows = judged if table is None else _identified(judged, task, table, "/".join(cell))
        tables[cell] = _table(rows, language, task)
        warnings += [f"{'/'.join(cell)}: {warning}" for warning in judged.warnings]
    if not tables:
        raise UserError(f"no task of {benchmark} has both predictions and labels", where=str(predictions))
    return tables, warnings


def _table(rows: Judged, language: str, task: FolderTask) -> pa.Table:
    more, _ = added(task.metrics, rows.gold, rows.predictions, rows.statistics)
    return pa.table(
        {
            "id": pa.array(map(_storable, rows.ids), pa.string()),
            "language": pa.array([language] * len(rows.ids), pa.string()),
            "gold": pa.array(map(_storable, rows.gold), pa.string()),
            "prediction": pa.array(map(_storable, rows.predictions), pa.string()),
            "score": pa.array([math.nan] * len(rows.ids), pa.float32(), from_pandas=True),
            **{name: pa.array(column, pa.float64()) for name, column in {**rows.statistics, **more}.items()},
        }
    )


def _storable(text: str | None) -> str | None:
    """The text without lone surrogates, which JSON can spell and no file can hold."""
    return text if text is None else text.encode("utf-8", "replace").decode("utf-8")


def _identified(judged: Judged, task: FolderTask, canonical: pa.Table, where: str) -> Judged:
    """The rows under the ids of the canonical table, where the files have no ids."""
    if task.suffix == "json":
        return judged
    ids = asked_rows(canonical, task.kind)["id"].to_pylist()
    if task.family == "mining":
        return _completed(judged, ids)
    if len(ids) != len(judged.ids):
        raise UserError(f"{len(judged.ids)} lines for {len(ids)} rows of the canonical table", where=where)
    if task.kind == "parallel":
        return _aligned(judged, ids, where)
    return Judged(ids=ids, gold=judged.gold, predictions=judged.predictions, statistics=judged.statistics)


def _completed(judged: Judged, ids: Sequence[str]) -> Judged:
    """Mining: a row for every foreign sentence, also where nothing is gold and nothing was mined."""
    place = {name: row for row, name in enumerate(judged.ids)}
    everything = [*ids, *sorted(place.keys() - set(ids))]
    rows = np.array([place.get(name, -1) for name in everything], dtype=np.intp)
    return Judged(
        ids=everything,
        gold=[judged.gold[row] if row >= 0 else "" for row in rows],
        predictions=[judged.predictions[row] if row >= 0 else "" for row in rows],
        statistics={name: np.append(column, 0.0)[rows] for name, column in judged.statistics.items()},
    )


def _aligned(judged: Judged, ids: Sequence[str], where: str) -> Judged:
    """Tatoeba: lines are English sentences in sorted order, their labels are rows; ours are ids of rows."""

    def named(row: str) -> str:
        return ids[int(row)] if row.isdecimal() and int(row) < len(ids) else row

    gold = [named(row) for row in judged.gold]
    if sorted(gold) != sorted(ids):
        raise UserError("the labels are not a permutation of the rows of the canonical table", where=where)
    predictions = [None if row is None else named(row) for row in judged.predictions]
    return Judged(ids=gold, gold=gold, predictions=predictions, statistics=judged.statistics)
