"""Creates the views and macros of a database, and fills in the published numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable

import duckdb

from xtreme_dag.core.home import Home
from xtreme_dag.formats import FORMATS
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

# Columns of canonical tables that are no texts, beside labels.
_NO_TEXTS = ("gold", "side", "document")


def refresh(connection: duckdb.DuckDBPyConnection, home: Home) -> None:
    """Lays views, macros and published numbers anew, for the tasks and artifacts that the database has."""
    for table, rows in (("published_scores", published_rows()), ("device_power", device_rows())):
        connection.execute(f"DELETE FROM {table}")
        insert(connection, table, rows)
    tasks = [row[0] for row in connection.execute("SELECT DISTINCT task FROM scores ORDER BY task").fetchall()]
    columns = "".join(f", any_value(t.value) FILTER (t.task = {_text(task)}) AS {_name(task)}" for task in tasks)
    found: dict[str, list[str]] = {}
    for column, variable in (("predictions", "prediction_files"), ("texts", "text_files")):
        sql = f"SELECT DISTINCT {column} FROM evaluations WHERE {column} IS NOT NULL ORDER BY 1"
        paths = [row[0] for row in connection.execute(sql).fetchall()]
        there = next((path for path in (home.root.absolute() / path for path in paths) if path.is_file()), None)
        if there is not None:  # DuckDB opens the files of a view when it is made
            connection.execute(f"SET VARIABLE {variable} = ?", [[there.as_posix()]])
        found[column] = paths if there is not None else []
    for sql in row_views(**found):
        connection.execute(sql)
    connection.execute((files.ROOM / "views.sql").read_text().replace("/*task columns*/", columns))
    connection.execute("DELETE FROM package")
    connection.execute("INSERT INTO package VALUES (?)", [files.package_digest()])


def row_views(predictions: Iterable[str], texts: Iterable[str]) -> list[str]:
    """The views `predictions` and `examples` over the artifacts' Parquet files, and the macros of them for other places.

    A view cannot look its files up in a table. It reads the files that the session variables `prediction_files` and
    `text_files` list (`xtreme_dag.results.query` sets them, with the variable `home`); without them, the paths as they
    were landed, in the folder that `home` names, else in the working directory. The macros `predictions_in(home)` and
    `examples_in(home)` take that folder as an argument: they are right for any DuckDB client anywhere.

    Args:
        predictions: paths of predictions, relative to the home if inside it; none if no file is there.
        texts: likewise of the canonical tables.
    """
    found = []
    for root, here in (("coalesce(getvariable('home') || '/', '')", True), ("home || '/'", False)):
        rows = _predictions(predictions, root, "prediction_files" if here else "")
        examples = _examples(
            "predictions" if here else "predictions_in(home)", texts, root, "text_files" if here else ""
        )
        for name, sql in (("predictions", rows), ("examples", examples)):
            head = f"OR REPLACE VIEW {name}" if here else f"OR REPLACE MACRO {name}_in(home) AS TABLE"
            found.append(f"CREATE {head}{' AS' if here else ''} {sql}")
    return found


def _predictions(paths: Iterable[str], root: str, variable: str) -> str:
    """The rows of all predictions; root: what is put before relative paths."""
    nulls = ", ".join(f"NULL::{kind} AS {name}" for name, kind in _COLUMNS.items())
    known = f"SELECT * FROM (SELECT {nulls}) WHERE false"
    if not (listed := sorted(set(paths))):
        return known
    return f"""{known} UNION ALL BY NAME
SELECT e.study, e.condition, e.task, e.seed, e.split, p.* EXCLUDE (filename)
FROM {_files(listed, root, variable)} p JOIN evaluations e ON p.filename = {_path("e.predictions", root)}"""


def _examples(predictions: str, paths: Iterable[str], root: str, variable: str) -> str:
    """The rows of all predictions with the texts of their examples."""
    columns = text_columns()
    nulls = ", ".join(
        f"NULL::{kind} AS {name}" for name, kind in {"filename": "VARCHAR", "id": "VARCHAR", **columns}.items()
    )
    rows = f"SELECT * FROM (SELECT {nulls}) WHERE false"
    if listed := sorted(set(paths)):
        rows += f" UNION ALL BY NAME SELECT * FROM {_files(listed, root, variable)}"
    plain = (
        f"array_to_string(t.{name}, ' ')" if kind == "VARCHAR[]" else f"t.{name}" for name, kind in columns.items()
    )
    return f"""SELECT p.study, p.condition, p.task, p.seed, p.split, p.language, p.id, p.gold, p.prediction, p.score,
       coalesce(p.s_correct = 1, p.s_em = 1, p.s_tokens_correct = p.s_tokens, p.s_ap = 1, p.s_joint = 1) AS correct,
       nullif(concat_ws(' | ', {", ".join(plain)}), '') AS texts, {", ".join(f"t.{name}" for name in columns)}
FROM {predictions} p JOIN evaluations e USING (study, condition, task, language, split, seed)
LEFT JOIN ({rows}) t ON t.filename = {_path("e.texts", root)} AND t.id = p.id"""


def text_columns() -> dict[str, str]:
    """The columns with texts that canonical tables have, of all formats: name -> type of DuckDB."""
    types = {"string": "VARCHAR", "words": "VARCHAR[]", "list<string>": "VARCHAR[]"}
    return {
        name: types[kind]
        for format in FORMATS.values()
        for name, kind in format.columns.items()
        if kind in types and name not in (format.label, *_NO_TEXTS)
    }


def _files(paths: list[str], root: str, variable: str) -> str:
    """What reads Parquet files: those of the session's variable if it is set, else of these paths."""
    if len(paths) > _LISTED:
        paths = sorted({re.sub(r"[^/]*[0-9a-f]{2}[^/]*(?=/)", "*", path) for path in paths})
    listed = (
        "[" + ", ".join(_text(path) if path.startswith("/") else f"{root} || {_text(path)}" for path in paths) + "]"
    )
    files_sql = f"coalesce(getvariable('{variable}'), {listed})" if variable else listed
    return f"read_parquet({files_sql}, union_by_name = true, filename = true)"


def _path(column: str, root: str) -> str:
    """The path that a column of `evaluations` names, as the files are named."""
    return f"CASE WHEN starts_with({column}, '/') THEN '' ELSE {root} END || {column}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
