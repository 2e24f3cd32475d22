"""Reading the results: connections that cannot write them; those for a user's query read this home and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.home import Home
from xtreme_dag.results import database as files
from xtreme_dag.results.predictions import check_predictions, remembered_digests

if TYPE_CHECKING:
    import pyarrow as pa

_QUERIES = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN, duckdb.StatementType.MULTI)
# Views that read the artifacts' rows.
_OVER_ROWS = ("predictions", "by_length", "label_confusion", "examples")


def reads_rows(text: str) -> bool:
    """Whether a query may read predictions, so that `reader` has to look for the artifacts."""
    return any(name in text.lower() for name in _OVER_ROWS)


def opened(home: Home, open_file: Callable[[Path], duckdb.DuckDBPyConnection]) -> duckdb.DuckDBPyConnection:
    """Opens the database of a home, of this package's version: an older one is migrated, a damaged one made again.

    Args:
        home: the folder in which all state lives.
        open_file: opens a database file for reading.

    Raises:
        UserError: there are no results yet, or a newer version of the program made them.
    """
    path = home.results
    if not path.exists() and not any(home.landings.glob("*.json")):
        raise UserError("has no results yet", where=f"home {home.root}", fix="run a study first: `xtreme-dag demo`")
    if path.exists() and not _is_sound(home, path):
        print(f"warning: {path} is damaged: made again from the landings", file=sys.stderr)
        from xtreme_dag.results.landing import rebuild  # not for each query: it imports what writes

        rebuild(home)
    with ExitStack() as otherwise, suppress(duckdb.Error):
        connection = open_file(path)
        otherwise.callback(connection.close)
        if files.is_of_this_package(connection, path):
            otherwise.pop_all()
            return connection
    from xtreme_dag.results.landing import upgrade

    upgrade(home)
    return open_file(path)


def _is_sound(home: Home, path: Path) -> bool:
    """Whether a database can be read from end to end; looked at once for each state of the file."""
    digests = remembered_digests(home)
    if digests.knows(path):
        return True
    if not files.is_sound(path):
        return False
    digests.file(path)
    with suppress(OSError):  # a home that cannot be written is looked at each time
        digests.save()
    return True


@contextmanager
def reader(home: Home, *, predictions: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection for reading, with the view `predictions` pointed at this home's artifacts.

    The database is open for reading only, external access is closed but for the artifacts, and the settings are
    locked: DuckDB then refuses by itself to write, attach, load or set. Only COPY is left, which may write wherever
    reading is allowed: `run_query` refuses it.

    Args:
        home: the folder in which all state lives.
        predictions: set up the view `predictions`; costs a look at the state of each artifact's files.

    Raises:
        UserError: there are no results that can be read, or predictions are missing or damaged.
    """
    connection = opened(home, partial(files.connect, read_only=True))
    try:
        paths = aim(connection, home, predictions="true" if predictions else "false")
        origins = connection.execute("SELECT DISTINCT origin FROM studies WHERE origin <> ''").fetchall()
        homes = [home.root.absolute(), *(Path(row[0]) for row in origins)]
        strangers = {path.parent for path in paths if not any(path.is_relative_to(root) for root in homes)}
        folders = sorted(path.as_posix() for path in {*(root / "store" for root in homes), *strangers})
        connection.execute(f"SET allowed_directories = [{', '.join(map(_text, folders))}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


@contextmanager
def attached_results(home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection for queries of the library's own, to the results as they are now; the views' files are not set.

    Raises:
        UserError: there are no results that can be read.
    """
    with closing(opened(home, files.attached)) as connection:
        yield connection


def connect(home: Home, *, predictions: bool = True) -> duckdb.DuckDBPyConnection:
    """A connection that stays open: the results as they are now, whatever is landed meanwhile.

    The results cannot be written; unlike `reader` it lets the caller read other files and keep tables of their own.

    Args:
        home: the folder in which all state lives.
        predictions: check the artifacts' files, for the views `predictions` and `examples`.

    Raises:
        UserError: there are no results that can be read, or predictions are missing or damaged.
    """
    connection = opened(home, files.attached)
    try:
        aim(connection, home, predictions="true" if predictions else "false")
    except BaseException:
        connection.close()
        raise
    return connection


def aim(
    connection: duckdb.DuckDBPyConnection, home: Home, *, predictions: str = "true", values: Sequence[Any] = ()
) -> list[Path]:
    """Points the views `predictions` and `examples` at the artifacts of a home.

    Args:
        connection: to its database.
        home: the home.
        predictions: a condition in SQL on `evaluations`: those that will be read.
        values: of the `?` in it.

    Returns:
        The files that can be read.

    Raises:
        UserError: predictions are missing or damaged, or the texts that they are of are damaged.
    """
    root = home.root.absolute()
    connection.execute("SET VARIABLE home = ?", [root.as_posix()])
    rows = connection.execute(
        f"SELECT predictions, texts FROM evaluations WHERE {predictions}", list(values)
    ).fetchall()
    found = [root / path for path in sorted({row[0] for row in rows})]
    texts = [root / path for path in sorted({row[1] for row in rows if row[1]})]
    texts = [path for path in texts if path.is_file()]  # predictions can be read without them
    check_predictions(home, [*found, *texts])
    for name, paths in (("prediction_files", found), ("text_files", texts)):
        if paths:
            connection.execute(f"SET VARIABLE {name} = ?", [[path.as_posix() for path in paths]])
    return [*found, *texts]


def study_names(home: Home) -> list[str]:
    """Names of the studies that have landed.

    Raises:
        UserError: there are no results that can be read.
    """
    with reader(home, predictions=False) as connection:
        return [row[0] for row in connection.execute("SELECT study FROM studies ORDER BY study").fetchall()]


def one_study(home: Home, name: str | None) -> str:
    """A study by name, or the only one that has landed.

    Raises:
        UserError: there is no such study, or several and none is named.
    """
    names = study_names(home)
    if name is None and len(names) == 1:
        return names[0]
    if name is None:
        raise UserError(f"there are {len(names)} studies", where="--study", fix="name one of: " + ", ".join(names))
    if name not in names:
        raise UserError(f"no study {name!r} has landed", where="--study", fix=nearest(name, names))
    return name


def check_query(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuses whatever is not a query, and COPY, which DuckDB also runs inside of one (`WITH x AS (COPY ... TO ...)`).

    Raises:
        UserError: the SQL is refused or cannot be parsed; one line says why.
    """
    if any(word.lower() == "copy" for word in _keywords(sql)):
        raise _refused("COPY", fix='if it is a name, quote it: "copy"')
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise UserError(_one_line(error), where="sql") from None
    if not statements:
        raise UserError("is empty", where="sql", fix="for instance: SELECT * FROM leaderboard")
    for statement in statements:
        if statement.type not in _QUERIES:
            word = statement.query.split()[0].upper()
            raise _refused(word if word.isalpha() else statement.type.name)


def run_query(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """The result of a user's query; of several statements, that of the last.

    Raises:
        UserError: the SQL is refused or fails.
    """
    sql = sql.encode(errors="replace").decode()
    check_query(connection, sql)
    try:
        return connection.sql(sql).to_arrow_table()
    except duckdb.Error as error:
        forbidden = isinstance(error, duckdb.PermissionException) or "attached in read-only mode" in str(error)
        raise UserError(f"{'is refused: ' if forbidden else ''}{_one_line(error)}", where="sql") from None


def _refused(word: str, fix: str = "") -> UserError:
    return UserError(f"{word} is refused: the results are read-only, only queries are run", where="sql", fix=fix)


def _keywords(sql: str) -> Iterator[str]:
    """The keywords of a text as DuckDB's tokenizer cuts them (by byte offsets)."""
    raw, marks = sql.encode(errors="replace"), duckdb.tokenize(sql)
    for (start, kind), end in zip(marks, [*(offset for offset, _ in marks[1:]), len(raw)], strict=False):
        if kind == duckdb.token_type.keyword:
            yield raw[start:end].decode(errors="replace").strip()


def _one_line(error: duckdb.Error) -> str:
    return " ".join(part for part in str(error).split("\n\n")[0].split("\n") if part).strip()


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
