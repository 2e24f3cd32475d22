"""Write predictions and labels in the XTREME folder layout: `<task>/test-<language>.<suffix>`.

Predictions come as the rows of `predictions.parquet`, labels from canonical tables. What `xtreme-dag score` reads is
what stands here, so a run that is exported and scored gives the figures that it had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from xtreme_dag import formats
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.core.errors import UserError
from xtreme_dag.formats.declaration import Format
from xtreme_dag.formats.layout import Unlabelled, as_json
from xtreme_dag.submissions.folder import Cell, folder_files, folder_tasks

METADATA = "metadata.json"


def write_submission(
    predictions: Mapping[Cell, pa.Table],
    out: Path,
    metadata: Mapping[str, Any],
    *,
    canonical: Mapping[Cell, pa.Table],
    benchmark: str = "xtreme",
) -> list[str]:
    """Writes one prediction file per task and language, and `metadata.json`.

    Args:
        predictions: rows of `predictions.parquet`: `id`, `prediction` (and `candidates`, list<string>, for rankings).
            Tags and mined ids stand in `prediction` with blanks between them; Tatoeba's is the id of a foreign row.
        out: a new or empty folder.
        metadata: what the submission is (model, parameters, pre-training data, ...), JSON values.
        canonical: the table that each prediction was made from, for the order of the rows and Tatoeba's English side.
        benchmark: `xtreme` or `xtreme-r`.

    Returns:
        What the benchmark lists and `predictions` lack: `task/test-language.suffix`.

    Raises:
        UserError: a task or language that the benchmark does not have, rows that do not fit their table, or a folder
            that holds something.
    """
    _empty(out)
    tasks, wanted = folder_tasks(benchmark), folder_files(benchmark)
    for (task, language), table in sorted(predictions.items(), key=lambda item: item[0]):
        where = f"{task}/{language}"
        if (task, language) not in wanted:
            raise UserError(f"{benchmark} does not list it", where=where)
        if (task, language) not in canonical:
            raise UserError("there is no canonical table", where=where, fix="prepare the dataset first")
        asked = asked_rows(canonical[task, language], tasks[task].format)
        ordered = _in_order(table, asked["id"].to_pylist(), where)
        text = tasks[task].layout.predictions(ordered.to_pydict(), asked.to_pydict())
        _write(out / wanted[task, language], text)
    missing = [path for cell, path in wanted.items() if cell not in predictions]
    content = {**metadata, "benchmark": benchmark, "files": len(predictions), "missing": missing}
    _write(out / METADATA, as_json(content))
    return missing


def write_labels(canonical: Mapping[Cell, pa.Table], out: Path) -> None:
    """Writes one label file per task and language, from labelled canonical tables.

    Raises:
        UserError: a table without labels, or a folder that holds something.
    """
    _empty(out)
    for cell in canonical:
        write_label_file(cell, canonical[cell], out)


def write_label_file(cell: Cell, table: pa.Table, out: Path) -> None:
    """Writes the labels of one task and language into a folder.

    Raises:
        UserError: the table has rows without a label, or its format has no layout.
    """
    (task, language), catalogue = cell, load_catalogue()
    format = formats.get(catalogue.dataset(catalogue.task(task).name).format)
    if format.layout is None:
        raise UserError(f"format {format.name} has no layout of files", where=f"task {task}")
    try:
        text = format.layout.gold(asked_rows(table, format).to_pydict())
    except Unlabelled:
        raise UserError("the table has rows without a label", where=f"{task}/{language}") from None
    _write(out / task / f"test-{language}.{format.layout.suffix}", text)


def asked_rows(table: pa.Table, format: Format) -> pa.Table:
    """The rows of a canonical table that are examples: all, or the asking side of a two-sided table."""
    if format.sides is None:
        return table
    asking = format.sides.asking
    return table.filter(pa.array([side == asking for side in table["side"].to_pylist()], pa.bool_()))


def _empty(out: Path) -> None:
    if out.exists() and any(out.iterdir()):
        raise UserError("the folder is not empty", where=str(out), fix="name a new folder")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _in_order(table: pa.Table, ids: Sequence[str], where: str) -> pa.Table:
    """The rows in the order of the canonical table, every row of it once."""
    place = {name: row for row, name in enumerate(table["id"].to_pylist())}
    missing = [name for name in ids if name not in place]
    if missing or len(place) != len(ids):
        raise UserError(
            f"{len(place)} predictions for {len(ids)} rows, {len(missing)} rows have none"
            + (f", the first is {missing[0]!r}" if missing else ""),
            where=where,
            fix="export a run that evaluated the whole split, with its own canonical table",
        )
    return table.take(pa.array([place[name] for name in ids], pa.int64()))
