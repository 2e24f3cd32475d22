"""Texts beside predictions: the view `examples`, from any client and any directory; the curves of trainings."""

import shutil
from dataclasses import replace

import duckdb
import pyarrow as pa
import pytest

from tests.results.synthetic_study import in_store, make_study
from xtreme_dag.core.errors import UserError
from xtreme_dag.formats import pair_classification, span_qa, tagging
from xtreme_dag.report.samples import samples
from xtreme_dag.results.facts import CurveFacts
from xtreme_dag.results.landing import add, land, rebuild
from xtreme_dag.results.query import connect, reader, run_query
from xtreme_dag.tables.canonical import schema_of, write_table

CONTEXT = "Before it. " * 60 + "The answer is here. " + "After it. " * 60
ROWS = {
    "xnli": (pair_classification.FORMAT, lambda i: {"text_a": f"premise {i}", "text_b": f"hypothesis {i}", "label": None}),
    "udpos": (tagging.FORMAT, lambda i: {"words": ["a", f"word{i}"], "tags": ["DET", "NOUN"]}),
    "xquad": (
        span_qa.FORMAT,
        lambda i: {
            "title": "t",
            "context": CONTEXT,
            "question": f"question {i}?",
            "answers": [{"text": "answer", "start": CONTEXT.index("answer")}],
            "answerable": True,
        },
    ),
}


def with_texts(home, made):
    """Gives each evaluation the canonical table of its examples."""
    tables = {}
    for row in made.evaluations:
        of = row.task, row.language, row.split
        if of not in tables:
            declared, fields = ROWS[row.task]
            ids = [f"{row.task}-{row.split}-{index}" for index in range(20)]
            rows = [{"id": id, "language": row.language, "split": row.split, **fields(i)} for i, id in enumerate(ids)]
            folder = home / "unfinished"
            folder.mkdir(parents=True)
            write_table(pa.Table.from_pylist(rows, schema=schema_of(declared)), folder / "table.parquet")
            (folder / "of.txt").write_text(" ".join(of))  # tables of equal rows are one artifact otherwise
            tables[of] = in_store(home, folder) / "table.parquet"
    made.evaluations[:] = [replace(row, texts=tables[row.task, row.language, row.split]) for row in made.evaluations]
    curve = CurveFacts(stage_key="k", kind="target", condition="mixed", seed=1, target="xnli", step=1, measure="loss", at=(5, 10), values=(2.0, 1.5))  # fmt: skip
    made.study = replace(made.study, curves=(curve,))
    return made


@pytest.fixture(scope="module")
def landed(tmp_path_factory):
    home = tmp_path_factory.mktemp("examples") / "home"
    land(home, *with_texts(home, make_study(home, n=20, languages=("en", "sw"), seeds=(1,))).arguments)
    return home


def check(answer):
    """Each prediction has its own texts and no other."""
    rows = answer.to_arrow_table().to_pylist()
    assert len(rows) == 3 * 3 * 2 * 2 * 20  # tasks, conditions, languages, splits, examples
    for row in rows:
        number = row["id"].rpartition("-")[2]
        if row["task"] == "xnli":
            assert (row["text_a"], row["text_b"]) == (f"premise {number}", f"hypothesis {number}")
            assert row["texts"] == f"premise {number} | hypothesis {number}" and row["context"] is None
        elif row["task"] == "udpos":
            assert row["words"] == ["a", f"word{number}"] and row["texts"] == f"a word{number}"
        else:
            assert row["context"] == CONTEXT and row["question"] == f"question {number}?"
        assert row["correct"] in (True, False)
    return rows


def test_every_prediction_has_its_texts(landed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with reader(landed) as connection:
        rows = check(connection.sql("FROM examples"))
        right = connection.execute("SELECT count(*) FROM predictions WHERE s_correct = 1").fetchone()[0]
    assert sum(row["correct"] for row in rows if row["task"] == "xnli") == right
    with connect(landed) as connection:
        check(connection.sql("FROM examples"))


def test_any_client_reads_them_anywhere(landed, tmp_path, monkeypatch):
    database = str(landed / "results.duckdb")
    monkeypatch.chdir(tmp_path)
    with duckdb.connect(database, read_only=True) as client:
        with pytest.raises(duckdb.IOException):
            client.sql("FROM examples")
        check(client.sql(f"FROM examples_in('{landed}')"))
        assert len(client.sql(f"FROM predictions_in('{landed}')")) == 720
        client.execute(f"SET VARIABLE home = '{landed}'")
        check(client.sql("FROM examples"))
    monkeypatch.chdir(landed)
    with duckdb.connect(database, read_only=True) as client:
        check(client.sql("FROM examples"))


def test_a_home_that_moved_and_one_that_was_added(landed, tmp_path):
    moved = shutil.copytree(landed, tmp_path / "moved")
    with connect(moved) as connection:
        rows = check(connection.sql("FROM examples"))
    add(tmp_path / "receiver", moved)
    with reader(tmp_path / "receiver") as connection:
        assert check(connection.sql("FROM examples"))[0].keys() == rows[0].keys()


def test_predictions_stay_when_their_texts_are_gone_and_damage_is_named(landed, tmp_path):
    home = shutil.copytree(landed, tmp_path / "home")
    with reader(home, predictions=False) as connection:
        gone, damaged = connection.execute(
            "SELECT DISTINCT texts FROM evaluations WHERE task = 'xnli' AND split = 'test' ORDER BY 1"
        ).fetchall()
    (home / gone[0]).unlink()
    with connect(home) as connection:
        assert connection.sql("SELECT count(*) FROM examples WHERE texts IS NULL").fetchall() == [(60,)]
    (home / damaged[0]).write_bytes((home / damaged[0]).read_bytes()[::-1])
    with pytest.raises(UserError, match="damaged or swapped") as error:
        connect(home)
    assert damaged[0] in error.value.where


def test_a_connection_stays_as_it_was_while_others_land(landed, tmp_path):
    home = shutil.copytree(landed, tmp_path / "home")
    connection = connect(home)
    land(home, *make_study(home, name="other", n=20, languages=("en",), seeds=(1,)).arguments)
    ask = "SELECT list(study ORDER BY study) FROM studies"
    assert connection.execute(ask).fetchall() == [(["demo"],)]
    with reader(home) as anew, connect(home) as another:
        assert anew.execute(ask).fetchall() == another.execute(ask).fetchall() == [(["demo", "other"],)]
        # evaluations without a table have no texts, and are there
        assert another.sql("SELECT count(*) FROM examples WHERE study = 'other' AND texts IS NULL").fetchall()[0][0] > 0
    for sql in ("DELETE FROM scores", "CREATE TABLE results.mine AS SELECT 1", "DROP VIEW examples"):
        with pytest.raises(duckdb.Error):
            connection.execute(sql)
    connection.close()


def test_the_report_shows_what_is_around_the_answer(landed):
    found = samples(landed, "demo", "test", "none", ["mixed"])
    texts = {sample.task: dict(sample.texts) for sample in found}
    assert set(texts) == {"xnli", "udpos", "xquad"}
    assert "The answer is here." in texts["xquad"]["context"] and len(texts["xquad"]["context"]) < 300
    assert texts["xnli"].keys() == {"text_a", "text_b"} and texts["udpos"]["words"].startswith("a word")


def test_curves_are_rows_and_come_back(landed, tmp_path):
    home = shutil.copytree(landed, tmp_path / "home")
    ask = "SELECT condition, target, measure, optimizer_step, value FROM training_curves ORDER BY ALL"
    rows = [("mixed", "xnli", "loss", 5, 2.0), ("mixed", "xnli", "loss", 10, 1.5)]
    (home / "results.duckdb").unlink()
    rebuild(home)
    with reader(home, predictions=False) as connection:
        assert [tuple(row.values()) for row in run_query(connection, ask).to_pylist()] == rows
