"""The process of the local Prefect server, until its keeper ends it or is gone; its argument is the port.

The server of a new home makes its database by all migrations since Prefect's beginning, which takes 8 s of a processor.
What they come to only versions determine, so it is kept for the user as SQL, and the next home's database is made of that.
The server still looks for migrations that are missing, as it does at every start.
"""

from __future__ import annotations

import asyncio
import os
import runpy
import signal
import sqlite3
import sys
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from xtreme_dag.core.processes import end_with_parent
from xtreme_dag.core.user_cache import keep, kept

_MADE_BY = ("prefect", "alembic", "SQLAlchemy")


def make_database() -> None:
    """Makes the database that Prefect's settings name, if it is a file in Prefect's home that does not exist yet."""
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    path, url = Path(settings.home) / "prefect.db", settings.server.database.connection_url
    if path.exists() or url is None or url.get_secret_value() != f"sqlite+aiosqlite:///{path}":
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    name = "-".join(("prefect", *map(version, _MADE_BY), sqlite3.sqlite_version)) + ".sql"
    if (made_before := kept(name)) is None:
        from prefect.server.database import provide_database_interface

        asyncio.run(provide_database_interface().create_db())  # as the server would
        with closing(sqlite3.connect(path)) as database:
            keep(name, "\n".join(database.iterdump()))
        return
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(unfinished)) as database:
        database.execute("PRAGMA journal_mode = WAL")  # Prefect's own, which a database keeps
        database.executescript(made_before)
    unfinished.replace(path)


def main() -> None:
    """The server itself."""
    end_with_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    make_database()
    sys.argv = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", sys.argv[1]]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
