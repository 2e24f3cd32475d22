"""The database of a new home's server: made by Prefect once, then of what was kept of that."""

import sqlite3
from contextlib import closing

import pytest
from prefect.settings import PREFECT_HOME, PREFECT_SERVER_DATABASE_CONNECTION_URL, temporary_settings

from flows._prefect_server import make_database
from xtreme_dag.core.user_cache import keep, kept


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "xtreme-dag"


def made(home):
    """All that a home's database holds after this: its definitions and its rows."""
    with temporary_settings({PREFECT_HOME: home}):
        make_database()
    with closing(sqlite3.connect(home / "prefect.db")) as database:
        return set(database.iterdump())


def test_it_is_what_the_migrations_make_and_they_run_once(tmp_path, cache):
    first = made(tmp_path / "first")
    assert any("alembic_version" in line for line in first) and len(first) > 150
    assert made(tmp_path / "second") == first
    (path,) = cache.iterdir()
    keep(path.name, f"{kept(path.name)}\nCREATE TABLE mark (x);")  # so that one made of it is told from a migrated one
    assert made(tmp_path / "third") - first == {"CREATE TABLE mark (x);"}
    assert made(tmp_path / "second") == first, "a database that exists is left alone"
    assert {(tmp_path / name / "prefect.db").read_bytes()[18:20] for name in ("first", "third")} == {b"\x02\x02"}, "WAL"
    assert sorted(path.name for path in (tmp_path / "third").iterdir()) == ["prefect.db"]


def test_a_database_elsewhere_is_left_to_prefect(tmp_path, cache):
    for url in ("postgresql+asyncpg://someone@127.0.0.1:1/prefect", f"sqlite+aiosqlite:///{tmp_path}/other.db"):
        with temporary_settings({PREFECT_HOME: tmp_path / "home", PREFECT_SERVER_DATABASE_CONNECTION_URL: url}):
            make_database()
    assert (
        not cache.exists() and not (tmp_path / "other.db").exists() and not (tmp_path / "home" / "prefect.db").exists()
    )
