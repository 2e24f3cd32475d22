"""Laying views, macros and published numbers into a database."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import duckdb

from xtreme_dag.results import database as files
from xtreme_dag.results.published import device_rows, published_rows
from xtreme_dag.results.rows import insert
from xtreme_dag.scoring.combine import FAMILIES

_LISTED = 500
# What the view `predictions` always has, whatever tasks have landed, so that other views can name it. Files may have
# more: offsets of answers, statistics of metrics that a task adds, ...
_COLUMNS = {
    **dict.fromkeys(("study", "condition", "task"), "VARCHAR"), "seed": "BIGINT",
    **dict.fromkeys(("split", "id", "language", "gold", "prediction"), "VARCHAR"), "score": "FLOAT", "tokens": "INTEGER",
    **{column: "DOUBLE" for family in FAMILIES.values() for column in family.columns},
}  # fmt: skip


def refresh(connection: duckdb.DuckDBPyConnection, home: Path) -> None:
    """Lays views, macros and published numbers anew, for the tasks and artifacts that the database has."""
    for table, rows in (("published_scores", published_rows()), ("device_power", device_rows())):
        connection.execute(f"DELETE FROM {table}")
        insert(connection, table, rows)
    tasks = [row[0] for row in connection.execute("SELECT DISTINCT task FROM scores ORDER BY task").fetchall()]
    columns = "".join(f", any_value(t.value) FILTER (t.task = {_text(task)}) AS {_name(task)}" for task in tasks)
    paths = [row[0] for row in connection.execute("SELECT DISTINCT predictions FROM evaluations ORDER BY 1").fetchall()]
    there = next((path for path in (home.absolute() / path for path in paths) if path.is_file()), None)
    if there is not None:  # DuckDB opens the files of a view when it is made
        connection.execute("SET VARIABLE prediction_files = ?", [[there.as_posix()]])
    connection.execute(predictions_view(paths if there is not None else []))
    connection.execute((files.ROOM / "views.sql").read_text().replace("/*task columns*/", columns))
    connection.execute("DELETE FROM package")
    connection.execute("INSERT INTO package VALUES (?)", [files.package_digest()])


def predictions_view(paths: Iterable[str]) -> str:
    """The view `predictions` over the artifacts' Parquet files.

    A view cannot look its files up in a table. It reads the files that the session variable `prediction_files` lists
    (`xtreme_dag.results.query` sets it, with the variable `home`); without it, the paths as they were landed, which
    are right for any DuckDB client that is started in the home.
    """
    listed = sorted(set(paths))
    nulls = ", ".join(f"NULL::{kind} AS {name}" for name, kind in _COLUMNS.items())
    known = f"CREATE OR REPLACE VIEW predictions AS SELECT * FROM (SELECT {nulls}) WHERE false"
    if not listed:
        return known
    if len(listed) > _LISTED:
        listed = sorted({re.sub(r"[^/]*[0-9a-f]{2}[^/]*(?=/)", "*", path) for path in listed})
    files_sql = "[" + ", ".join(map(_text, listed)) + "]"
    return f"""{known} UNION ALL BY NAME
SELECT e.study, e.condition, e.task, e.seed, e.split, p.* EXCLUDE (filename)
FROM read_parquet(coalesce(getvariable('prediction_files'), {files_sql}), union_by_name = true, filename = true) p
JOIN evaluations e
  ON p.filename = CASE WHEN starts_with(e.predictions, '/') THEN '' ELSE coalesce(getvariable('home') || '/', '') END
                  || e.predictions"""


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
