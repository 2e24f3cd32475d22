"""Queries to the results of one study; a name that it does not have is an error with the nearest one that it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.home import Home
from xtreme_dag.engine.store import Store
from xtreme_dag.results.query import aim, attached_results

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def answer(home: Home, study: str, sql: str, values: Mapping[str, Any] | None = None) -> pa.Table:
    """The answer to a question about a study, `$study` in it.

    Raises:
        UserError: the study has not landed.
    """
    with attached_results(home) as connection:
        _landed(connection, home, study)
        return connection.sql(sql, params={"study": study, **(values or {})}).to_arrow_table()


def examples(
    home: Home, study: str, asked: Mapping[str, list[str] | None], *, seed: int | None, split: str, wrong: bool
) -> pa.Table:
    """Rows of the view `examples`; only the files of what is asked for are read, columns of texts that none has are left out.

    Args:
        home: whose results.
        study: name of the study.
        asked: `task`, `language`, `condition` -> names; None for all.
        seed: of the runs; None for all.
        split: of the examples.
        wrong: only those that are not wholly right.

    Raises:
        UserError: a name that has no scores, or predictions are missing or damaged.
    """
    where: list[str] = ["study = ?", "split = ?"]
    given: list[Any] = [study, split]
    for column, names in asked.items():
        if names is not None:
            where.append(f"list_contains(?, {column})")
            given.append(names)
    if seed is not None:
        where.append("seed = ?")
        given.append(seed)
    chosen = " AND ".join(where)
    with attached_results(home) as connection:
        if not aim(connection, home, predictions=chosen, values=given):
            raise _nothing(connection, home, study, {**asked, "split": [split]}, seed)
        sql = f"SELECT * EXCLUDE (study, split) FROM examples WHERE {chosen}{' AND NOT correct' if wrong else ''}"
        ordered = f"{sql} ORDER BY task, language, condition, seed, id"
        table = connection.sql(ordered, params=given).to_arrow_table()
    texts = table.column_names[table.column_names.index("texts") + 1 :]
    return table.drop_columns([name for name in texts if table[name].null_count == table.num_rows])


def model_of(home: Home, study: str, task: str, condition: str, seed: int) -> str:
    """The key of the stage whose model was evaluated on a task.

    Raises:
        UserError: nothing such was evaluated, or the model is the base model itself.
    """
    with attached_results(home) as connection:
        _landed(connection, home, study)
        row = connection.execute(
            "SELECT stage_key FROM evaluations WHERE study = ? AND task = ? AND condition = ? AND seed = ? LIMIT 1",
            [study, task, condition, seed],
        ).fetchone()
        if row is None:
            raise _nothing(connection, home, study, {"task": [task], "condition": [condition]}, seed)
    record = Store(home.store).read(row[0])
    model = record.manifest["inputs"].get("model", {}) if record is not None else {}
    if not model.get("key"):
        what = f"{condition} was not trained for {task}" if "source" in model else "its model is not known here"
        raise UserError(
            what, where=study, fix=f"it is {model['source']}" if "source" in model else "run it here: .run()"
        )
    return str(model["key"])


def _landed(connection: duckdb.DuckDBPyConnection, home: Home, study: str) -> None:
    """Raises if a study has not landed."""
    studies = [row[0] for row in connection.execute("SELECT study FROM studies").fetchall()]
    if study not in studies:
        raise UserError(f"no study {study!r} has landed in {home.root}", fix="run it: .run()")


def _nothing(
    connection: duckdb.DuckDBPyConnection,
    home: Home,
    study: str,
    asked: Mapping[str, list[str] | None],
    seed: int | None,
) -> UserError:
    """Why there are no such examples."""
    _landed(connection, home, study)
    for column, names in asked.items():
        sql = f"SELECT DISTINCT {column} FROM evaluations WHERE study = ?"
        known = [row[0] for row in connection.execute(sql, [study]).fetchall()]
        for name in names or ():
            if name not in known:
                return UserError(f"no {column} {name!r} was scored", where=study, fix=nearest(name, known))
    return UserError("nothing was scored with all of these", where=study, fix=f"seed {seed}? see .scores()")
