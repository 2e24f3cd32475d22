"""Asking the results: queries run, everything else is refused in a line."""

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.results.landing import land
from xtreme_dag.results.query import check_query, reader, run_query, study_names


@pytest.fixture(scope="module")
def landed(tmp_path_factory):
    from tests.results.synthetic_study import make_study

    home = tmp_path_factory.mktemp("query") / "home"
    land(Home(home), *make_study(home, n=20).arguments)
    return home


REFUSED = [
    "COPY (SELECT 1) TO '{out}'",
    "COPY scores TO '{out}' (FORMAT parquet)",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}'",
    "explain /* quiet */ analyze copy (select 1) to '{out}'",
    "WITH x AS (COPY (SELECT 1) TO '{out}') SELECT * FROM x",
    "WITH x AS MATERIALIZED (COPY (SELECT 1) TO '{out}') SELECT 1",
    "SELECT 1; COPY (SELECT 1) TO '{out}'",
    "-- harmless\nCOPY (SELECT 1) TO '{out}'",
    "EXPORT DATABASE '{out}'",
    "ATTACH '{out}' AS other",
    "ATTACH ':memory:' AS other",
    "INSTALL httpfs",
    "LOAD httpfs",
    "INSERT INTO scores SELECT * FROM scores",
    "WITH x AS (INSERT INTO scores SELECT * FROM scores RETURNING *) SELECT * FROM x",
    "EXPLAIN ANALYZE INSERT INTO scores SELECT * FROM scores",
    "WITH x AS (DELETE FROM scores) SELECT 1",
    "UPDATE scores SET value = 100",
    "DELETE FROM scores",
    "MERGE INTO scores USING scores s ON false WHEN NOT MATCHED THEN INSERT BY NAME",
    "TRUNCATE scores",
    "CREATE TABLE mine AS SELECT 1",
    "CREATE TEMP TABLE mine AS SELECT 1",
    "CREATE SECRET s (TYPE s3)",
    "DROP VIEW deltas",
    "ALTER TABLE scores ADD COLUMN x INTEGER",
    "SET threads = 1",
    "SET VARIABLE prediction_files = ['/etc/passwd']",
    "RESET threads",
    "PRAGMA enable_profiling = 'json'",
    "CALL pragma_version()",
    "PREPARE q AS SELECT 1",
    "CHECKPOINT",
    "VACUUM",
    "USE memory",
    "BEGIN",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_what_writes_loads_or_sets_is_refused(landed, tmp_path, sql):
    out = tmp_path / "out"
    before = (landed / "results.duckdb").read_bytes()
    with reader(Home(landed)) as connection, pytest.raises(UserError) as refused:
        run_query(connection, sql.format(out=out))
    assert "refused" in refused.value.what and "\n" not in refused.value.what
    assert not out.exists() and (landed / "results.duckdb").read_bytes() == before


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_text('{home}/store/../landings/demo.json')",
        "SELECT * FROM read_parquet('https://example.org/x.parquet')",
    ],
)
def test_nothing_outside_the_artifacts_can_be_read(landed, sql):
    with reader(Home(landed)) as connection, pytest.raises(UserError):
        assert run_query(connection, sql.format(home=landed)).num_rows == 0
        raise UserError("nothing was found, so nothing was read")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 42 AS answer",
        "FROM leaderboard",
        "(SELECT 1)",
        "VALUES (1, 2)",
        "TABLE conditions",
        "WITH x AS (SELECT 1 AS a) SELECT * FROM x",
        "DESCRIBE scores",
        "SHOW TABLES",
        "SUMMARIZE scores",
        "EXPLAIN SELECT * FROM scores",
        "PIVOT task_scores ON task USING first(value) GROUP BY condition",
        "SELECT 'COPY x TO y; INSERT' AS quoted, 1 AS \"update\"",
        "SELECT 1; SELECT 2",
        "SELECT count(*) FROM predictions WHERE task = 'xnli'",
        "FROM compare('english', 'mixed')",
        "FROM delta('xnli')",
        "FROM lineage((SELECT min(stage_key) FROM evaluations))",
    ],
)
def test_queries_run(landed, sql):
    with reader(Home(landed)) as connection:
        assert run_query(connection, sql).num_rows > 0


def test_of_several_statements_the_last_counts(landed):
    with reader(Home(landed)) as connection:
        assert run_query(connection, "SELECT 1 AS a; SELECT 2 AS b").to_pylist() == [{"b": 2}]


@pytest.mark.parametrize("sql", ["", "   ", "-- nothing", "SELEC 1", "SELECT * FROM nowhere", "SELECT 1 +"])
def test_mistakes_are_said_in_one_line(landed, sql):
    with reader(Home(landed)) as connection, pytest.raises(UserError) as error:
        run_query(connection, sql)
    assert "\n" not in error.value.what and error.value.where == "sql"


def test_the_view_of_predictions_joins_files_and_cells(landed):
    with reader(Home(landed)) as connection:
        rows = run_query(
            connection,
            "SELECT s.stage_key, s.value, 100 * avg(p.s_correct) AS again FROM predictions p JOIN scores s"
            " USING (study, condition, task, language, split, seed) WHERE s.metric = 'accuracy' GROUP BY ALL",
        ).to_pylist()
    assert len(rows) == 36 and all(row["value"] == pytest.approx(row["again"]) for row in rows)


def test_predictions_that_are_gone_are_named_and_the_rest_stays_readable(landed, tmp_path):
    import shutil

    home = tmp_path / "home"
    shutil.copytree(landed, home)
    gone = next((home / "store").rglob("predictions.parquet"))
    gone.unlink()
    with pytest.raises(UserError, match="the predictions are gone") as error, reader(Home(home)):
        pass
    assert error.value.where == str(gone)
    with reader(Home(home), predictions=False) as connection:
        assert run_query(connection, "SELECT count(*) AS n FROM evaluations").to_pylist() == [{"n": 108}]


def test_any_duckdb_client_in_the_home_reads_the_database(landed, monkeypatch):
    monkeypatch.chdir(landed)
    plain = duckdb.connect("results.duckdb", read_only=True)
    assert plain.execute("SELECT count(*) FROM predictions").fetchone() == (108 * 20,)
    assert len(plain.execute("FROM delta('xnli')").fetchall()) == 12
    assert len(plain.execute("FROM leaderboard").fetchall()) == 6
    plain.close()


def test_names_of_studies(landed):
    assert study_names(Home(landed)) == ["demo"]


@given(st.text(max_size=60))
def test_no_text_makes_the_check_fail_otherwise(text):
    connection = duckdb.connect()
    try:
        check_query(connection, text)
    except UserError as error:
        assert "\n" not in error.what
    finally:
        connection.close()
