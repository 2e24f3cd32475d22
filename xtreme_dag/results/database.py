"""The database file: versions, one writer at a time, and readers that never wait.

DuckDB refuses every reader while a writer has the file open. So nobody writes to the file that others read: a writer
holds a lock, changes a copy, and puts the copy in place by one rename. A reader has the old file or the new one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from xtreme_dag.core import locks
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import sync_folder

if TYPE_CHECKING:
    from typing import Any

ROOM = Path(__file__).parent
_OFFLINE: dict[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
# Clients from DuckDB 1.2 on can read the file; small blocks, since most tables are small and the file is copied.
_FORMAT: dict[str, Any] = {"storage_compatibility_version": "v1.2.0", "default_block_size": "16384"}
LOCK_SECONDS = 600.0


def migrations() -> list[Path]:
    """The numbered changes since version 1 (`schema.sql`), in order; version N is after the (N-1)th."""
    return sorted((ROOM / "migrations").glob("*.sql"))


def current_version() -> int:
    """The schema version of this package."""
    return 1 + len(migrations())


def connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Opens a database file; extensions are never fetched."""
    return duckdb.connect(str(path), read_only=read_only, config=_OFFLINE if read_only else _OFFLINE | _FORMAT)


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """Lays the schema of this package's version into an empty database."""
    connection.execute((ROOM / "schema.sql").read_text())
    connection.execute("INSERT INTO schema_version VALUES (1, 'schema.sql')")
    migrate(connection)


def migrate(connection: duckdb.DuckDBPyConnection) -> None:
    """Applies the migrations that a database lacks, each in a transaction with its version row."""
    have = version_of(connection) or 1
    for number, file in enumerate(migrations(), start=2):
        if number > have:
            connection.execute("BEGIN")
            connection.execute(file.read_text())
            connection.execute("INSERT INTO schema_version VALUES (?, ?)", [number, file.name])
            connection.execute("COMMIT")


def version_of(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The schema version of an open database; None if it has no version table, so is not one of ours."""
    try:
        row = connection.execute("SELECT max(version) FROM schema_version").fetchone()
    except duckdb.CatalogException:
        return None
    return None if row is None or row[0] is None else int(row[0])


@contextmanager
def whole(path: Path) -> Iterator[duckdb.DuckDBPyConnection | None]:
    """A database file to read, if it is one of ours and can be read from end to end, else None.

    DuckDB checks blocks when it reads them.

    Raises:
        UserError: there is a folder in its place.
    """
    if path.is_dir():
        raise UserError("is a folder, where the database should be", where=str(path), fix="move it away")
    with ExitStack() as opened:
        connection = None
        with suppress(duckdb.Error):
            connection = opened.enter_context(reading(path))
        yield connection if connection is not None and _is_whole(connection) else None


def is_sound(path: Path) -> bool:
    """Whether there is a database file that is `whole`."""
    with whole(path) as connection:
        return connection is not None


def _is_whole(connection: duckdb.DuckDBPyConnection) -> bool:
    try:
        if version_of(connection) is None:
            return False
        tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'results'")
        for (name,) in tables.fetchall():
            connection.execute(f'SELECT sum(hash(t)) FROM "{name}" t').fetchall()
    except (duckdb.Error, ValueError):
        return False
    return True


def package_digest() -> str:
    """sha256 of what the database carries along: views, published numbers, device power."""
    digest = hashlib.sha256()
    for name in ("views.sql", "views.py", "published.csv", "device_power.csv"):
        digest.update((ROOM / name).read_bytes())
    return digest.hexdigest()


@contextmanager
def reading(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection to a database file, whatever its version, as the file is now.

    DuckDB gives all connections of a process to one path the same instance, and that keeps the file which it opened: a
    reader in another thread would make us read what has been replaced since. An attached file is opened anew.
    """
    connection = attached(path)
    try:
        yield connection
    finally:
        connection.close()


def attached(path: Path) -> duckdb.DuckDBPyConnection:
    """See `reading`; the caller closes the connection."""
    connection = duckdb.connect(":memory:", config=_OFFLINE)
    try:
        name = str(path).replace("'", "''")
        connection.execute(f"ATTACH '{name}' AS results (READ_ONLY)")
        connection.execute("USE results")
    except BaseException:
        connection.close()
        raise
    return connection


def is_current(path: Path) -> bool:
    """Whether a database file has this package's schema, views and published numbers.

    Raises:
        UserError: a newer version of the program made it.
    """
    try:
        with reading(path) as connection:
            return is_of_this_package(connection, path)
    except duckdb.Error:
        return False


def is_of_this_package(connection: duckdb.DuckDBPyConnection, path: Path) -> bool:
    """Whether an open database has this package's schema, views and published numbers; `path` is named in errors.

    Raises:
        UserError: a newer version of the program made it.
    """
    version = version_of(connection)
    if version == current_version():
        return connection.execute("SELECT digest FROM package").fetchall() == [(package_digest(),)]
    if version is not None and version > current_version():
        raise UserError(
            f"was made by a newer version of the program (schema {version}, this one knows {current_version()})",
            where=str(path),
            fix="upgrade, or make it again for this version with `xtreme-dag results rebuild`",
        )
    return False


@contextmanager
def locked(database: Path, *, wait_seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Holds the writer's lock; the operating system frees it when the holder dies.

    Raises:
        UserError: another process has held it for `wait_seconds`.
    """
    with ExitStack() as held:
        try:
            path = database.with_name(database.name + ".lock")
            held.enter_context(locks.locked(path, "writing results", seconds=wait_seconds))
        except TimeoutError as holder:
            raise UserError(
                f"{holder} has been at it for {wait_seconds:.0f} s",
                where=str(database),
                fix="wait for it to end, or end it, and try again",
            ) from None
        yield


def replace(database: Path, change: Callable[[duckdb.DuckDBPyConnection], None], *, start_from: Path | None) -> None:
    """Puts a changed copy in the database's place by one rename; the caller holds the lock.

    Args:
        database: the file that readers open.
        change: makes the changes; if it raises, the database stays as it was.
        start_from: the file to copy; None for a new database with this package's schema.
    """
    for leftover in database.parent.glob(f".{database.name}.*.new*"):
        leftover.unlink(missing_ok=True)
    scratch = database.with_name(f".{database.name}.{os.getpid()}.new")
    try:
        if start_from is not None:
            shutil.copyfile(start_from, scratch)
        connection = connect(scratch, read_only=False)
        try:
            migrate(connection) if start_from is not None else create(connection)
            change(connection)
            connection.execute("CHECKPOINT")
        finally:
            connection.close()
        with scratch.open("rb") as file:
            os.fsync(file.fileno())
        scratch.replace(database)
        sync_folder(database.parent)
    finally:
        scratch.unlink(missing_ok=True)
        scratch.with_name(scratch.name + ".wal").unlink(missing_ok=True)
