"""Versions of the database: migrated, made anew, or refused, never misread."""

import duckdb
import pytest

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.results import database
from xtreme_dag.results.landing import land
from xtreme_dag.results.query import opened, reader


def change(home, sql):
    connection = database.connect(Home(home).results, read_only=False)
    connection.execute(sql)
    connection.close()


def version(home):
    with database.reading(Home(home).results) as connection:
        return database.version_of(connection)


def as_version_one(home):
    """Turns the database into one that version 1 of the schema made."""
    change(
        home,
        "DROP VIEW IF EXISTS cost; DROP VIEW IF EXISTS stage_cost; DROP TABLE device_power; DROP TABLE data_tables; DROP TABLE trained_on;"
        " DROP VIEW warnings; DROP TABLE stage_warnings; DROP TABLE evaluation_warnings;"
        " DROP TABLE training_curves; DROP TABLE grid_trials; ALTER TABLE evaluations DROP COLUMN texts; ALTER TABLE stages DROP COLUMN processor; ALTER TABLE scores DROP COLUMN supervision; DROP TABLE shared_examples;"
        " DELETE FROM schema_version WHERE version > 1",
    )


def test_every_migration_is_numbered_in_turn():
    names = [file.name for file in database.migrations()]
    assert [name.split("_")[0] for name in names] == [f"{number:03d}" for number in range(2, 2 + len(names))]
    assert database.current_version() == 1 + len(names)


def test_a_new_database_knows_its_version(make, home):
    land(Home(home), *make(seeds=(1,), n=5).arguments)
    with reader(Home(home)) as connection:
        rows = connection.execute("SELECT version, name FROM schema_version ORDER BY version").fetchall()
    assert rows[0] == (1, "schema.sql") and len(rows) == database.current_version()


def test_an_older_database_is_migrated_when_it_is_read(make, home):
    land(Home(home), *make(seeds=(1,), n=5).arguments)
    as_version_one(home)
    assert version(home) == 1
    with reader(Home(home)) as connection:
        assert connection.execute("SELECT count(*) FROM device_power").fetchone()[0] > 0
        assert connection.execute("SELECT count(*) FROM scores").fetchone() == (144,)
        assert connection.execute("SELECT count(*) FROM cost").fetchone() == (3,)
    assert version(home) == database.current_version()


def test_an_older_database_is_migrated_by_a_landing_that_has_nothing_new(make, home):
    made = make(seeds=(1,), n=5)
    land(Home(home), *made.arguments)
    as_version_one(home)
    assert not land(Home(home), *made.arguments).changed
    assert version(home) == database.current_version()


def test_a_newer_database_is_refused(make, home):
    made = make(seeds=(1,), n=5)
    land(Home(home), *made.arguments)
    change(home, "INSERT INTO schema_version VALUES (999, '999_future.sql')")
    before = Home(home).results.read_bytes()
    for attempt in (lambda: opened(Home(home), database.attached), lambda: land(Home(home), *made.arguments)):
        with pytest.raises(UserError, match="newer version of the program"):
            attempt()
    assert Home(home).results.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"not a database" * 1000])
def test_a_damaged_database_is_made_anew(make, home, capsys, content):
    land(Home(home), *make(seeds=(1,), n=5).arguments)
    Home(home).results.write_bytes(content)
    with reader(Home(home)) as connection:
        assert connection.execute("SELECT count(*) FROM scores").fetchone() == (144,)
    assert "made again from the landings" in capsys.readouterr().err


def test_a_database_that_is_not_ours_is_made_anew_by_a_landing(make, home):
    one, two = make(name="one", seeds=(1,), n=5), make(name="two", seeds=(1,), n=5)
    land(Home(home), *one.arguments)
    Home(home).results.unlink()
    foreign = duckdb.connect(str(Home(home).results))
    foreign.execute("CREATE TABLE scores (x INTEGER)")
    foreign.close()
    land(Home(home), *two.arguments)
    with reader(Home(home)) as connection:
        assert connection.execute("SELECT DISTINCT study FROM scores ORDER BY 1").fetchall() == [("one",), ("two",)]


def test_other_views_are_laid_when_the_package_has_others(make, home):
    land(Home(home), *make(seeds=(1,), n=5).arguments)
    change(home, "CREATE OR REPLACE VIEW deltas AS SELECT 1 AS old; UPDATE package SET digest = 'old'")
    with reader(Home(home)) as connection:
        assert "delta" in [row[0] for row in connection.execute("DESCRIBE deltas").fetchall()]


def test_no_results_is_said_plainly(home):
    with pytest.raises(UserError, match="has no results yet"), reader(Home(home)):
        pass
    assert not home.exists()
