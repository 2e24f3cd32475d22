"""Read a submission into rows of `predictions.parquet`, so that it can be compared example by example."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from xtreme_dag.core.errors import UserError
from xtreme_dag.formats.declaration import Judged
from xtreme_dag.scoring.columns import added
from xtreme_dag.submissions.folder import Cell, FolderTask, folder_tasks, judge_tasks
from xtreme_dag.submissions.write import asked_rows


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
        labels: likewise; `write.write_labels` makes one from canonical tables.
        benchmark: `xtreme` or `xtreme-r`.
        canonical: the test tables; without one, rows of files without ids are numbered from 0.

    Returns:
        Task and language -> columns `id`, `language`, `gold`, `prediction`, `score` and the `s_*` of its metric; and
        warnings.

    Raises:
        UserError: a file that cannot be scored, or a table with another number of rows.
    """
    tables: dict[Cell, pa.Table] = {}
    warnings: list[str] = []
    for task, language, judged in judge_tasks(folder_tasks(benchmark), predictions, labels, warnings):
        cell, where = (task.name, language), f"{task.name}/{language}"
        table = (canonical or {}).get(cell)
        warnings += [f"{where}: {warning}" for warning in judged.warnings]
        rows = judged if table is None else _identified(judged, task, table, where)
        tables[cell] = _rows(rows, language, task)
    if not tables:
        raise UserError(f"no task of {benchmark} has both predictions and labels", where=str(predictions))
    return tables, warnings


def _identified(judged: Judged, task: FolderTask, table: pa.Table, where: str) -> Judged:
    """The rows under the ids of the canonical table, where the files have no ids."""
    if task.layout.identify is None:
        return judged
    try:
        return task.layout.identify(judged, asked_rows(table, task.format)["id"].to_pylist())
    except UserError as error:
        raise UserError(error.what, where=where, fix=error.fix) from None


def _rows(judged: Judged, language: str, task: FolderTask) -> pa.Table:
    texts = {"id": judged.ids, "gold": judged.gold, "prediction": judged.predictions}
    columns = {name: pa.array(map(_storable, column), pa.string()) for name, column in texts.items()}
    more, _ = added(task.metrics, judged.gold, judged.predictions, judged.statistics)
    size = len(judged.ids)
    return pa.table(
        {
            "id": columns.pop("id"),
            "language": pa.array([language] * size, pa.string()),
            **columns,
            "score": pa.array([math.nan] * size, pa.float32(), from_pandas=True),
            **{name: pa.array(column, pa.float64()) for name, column in {**judged.statistics, **more}.items()},
        }
    )


def _storable(text: str | None) -> str | None:
    """The text without lone surrogates, which JSON can spell and no file can hold."""
    return text if text is None else text.encode("utf-8", "replace").decode("utf-8")
