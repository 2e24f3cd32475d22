"""Texts beside predictions: the view `examples`, from any client and any directory; the curves of trainings."""

import json
import shutil
from dataclasses import replace

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from tests.results.synthetic_study import in_store, make_study
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.course import Course
from xtreme_dag.engine.digests import file_digest
from xtreme_dag.engine.graph import Stage
from xtreme_dag.engine.store import Record
from xtreme_dag.formats import pair_classification, span_qa, tagging
from xtreme_dag.report.charts import charts
from xtreme_dag.report.content import read_content
from xtreme_dag.report.html import write_report
from xtreme_dag.report.samples import samples
from xtreme_dag.results.collect import curve_facts
from xtreme_dag.results.facts import CurveFacts
from xtreme_dag.results.landing import add, land, rebuild
from xtreme_dag.results.query import connect, reader, run_query
from xtreme_dag.tables.canonical import schema_of, write_table
from xtreme_dag.wiring.kinds import TARGET

CONTEXT = "Before it. " * 60 + "The answer is here. " + "After it. " * 60
ROWS = {
    "xnli": (
        pair_classification.FORMAT,
        lambda i: {"text_a": f"premise {i}", "text_b": f"hypothesis {i}", "label": None},
    ),
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
    land(Home(home), *with_texts(home, make_study(home, n=20, languages=("en", "sw"), seeds=(1,))).arguments)
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
    with reader(Home(landed)) as connection:
        rows = check(connection.sql("FROM examples"))
        right = connection.execute("SELECT count(*) FROM predictions WHERE s_correct = 1").fetchone()[0]
    assert sum(row["correct"] for row in rows if row["task"] == "xnli") == right
    with connect(Home(landed)) as connection:
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
    with connect(Home(moved)) as connection:
        rows = check(connection.sql("FROM examples"))
    add(Home(tmp_path / "receiver"), moved)
    with reader(Home(tmp_path / "receiver")) as connection:
        assert check(connection.sql("FROM examples"))[0].keys() == rows[0].keys()


def test_predictions_stay_when_their_texts_are_gone_and_damage_is_named(landed, tmp_path):
    home = shutil.copytree(landed, tmp_path / "home")
    with reader(Home(home), predictions=False) as connection:
        gone, damaged = connection.execute(
            "SELECT DISTINCT texts FROM evaluations WHERE task = 'xnli' AND split = 'test' ORDER BY 1"
        ).fetchall()
    (home / gone[0]).unlink()
    with connect(Home(home)) as connection:
        assert connection.sql("SELECT count(*) FROM examples WHERE texts IS NULL").fetchall() == [(60,)]
    (home / damaged[0]).write_bytes((home / damaged[0]).read_bytes()[::-1])
    with pytest.raises(UserError, match="damaged or swapped") as error:
        connect(Home(home))
    assert damaged[0] in error.value.where


def test_a_connection_stays_as_it_was_while_others_land(landed, tmp_path):
    home = shutil.copytree(landed, tmp_path / "home")
    connection = connect(Home(home))
    land(Home(home), *make_study(home, name="other", n=20, languages=("en",), seeds=(1,)).arguments)
    ask = "SELECT list(study ORDER BY study) FROM studies"
    assert connection.execute(ask).fetchall() == [(["demo"],)]
    with reader(Home(home)) as anew, connect(Home(home)) as another:
        assert anew.execute(ask).fetchall() == another.execute(ask).fetchall() == [(["demo", "other"],)]
        # evaluations without a table have no texts, and are there
        assert another.sql("SELECT count(*) FROM examples WHERE study = 'other' AND texts IS NULL").fetchall()[0][0] > 0
    for sql in ("DELETE FROM scores", "CREATE TABLE results.mine AS SELECT 1", "DROP VIEW examples"):
        with pytest.raises(duckdb.Error):
            connection.execute(sql)
    connection.close()


def test_the_report_shows_what_is_around_the_answer(landed):
    found = samples(Home(landed), "demo", "test", "none", ["mixed"])
    texts = {sample.task: dict(sample.texts) for sample in found}
    assert set(texts) == {"xnli", "udpos", "xquad"}
    assert "The answer is here." in texts["xquad"]["context"] and len(texts["xquad"]["context"]) < 300
    assert texts["xnli"].keys() == {"text_a", "text_b"} and texts["udpos"]["words"].startswith("a word")


def test_curves_are_rows_and_come_back(landed, tmp_path):
    home = shutil.copytree(landed, tmp_path / "home")
    ask = "SELECT condition, target, measure, optimizer_step, value FROM training_curves ORDER BY ALL"
    rows = [("mixed", "xnli", "loss", 5, 2.0), ("mixed", "xnli", "loss", 10, 1.5)]
    (home / "results.duckdb").unlink()
    rebuild(Home(home))
    with reader(Home(home), predictions=False) as connection:
        assert [tuple(row.values()) for row in run_query(connection, ask).to_pylist()] == rows


def test_the_report_has_the_texts_and_draws_the_curves(landed, tmp_path):
    page = write_report(Home(landed), "demo", tmp_path / "report.html", resamples=20).read_text()
    assert "<small>text_a</small> <bdi>premise " in page and "The answer is here." in page
    content = read_content(Home(landed), "demo", resamples=20)
    values = charts(content)["loss"]["data"]["values"]
    assert [(row["condition"], row["panel"], row["step"], row["value"]) for row in values] == [
        ("mixed", "xnli", 5, 2.0),
        ("mixed", "xnli", 10, 1.5),
    ]
    assert 'id="chart-loss"' in page and 'id="chart-dev"' not in page and "dev" not in charts(content)


def test_looks_at_dev_speed_and_losses_stand_at_their_steps(tmp_path):
    """250 steps as 100 points: the first 50 are means of three steps, the others of two."""
    made = {
        "steps_done": 250,
        "loss_curve": [float(number) for number in range(100)],
        "selection": [{"step": 100, "mean": 0.5, "a": 0.4, "b": 0.6}],
    }
    record = in_store_with(
        tmp_path, made, course=[[50, {"loss": 9.0, "tokens_per_s": 10.0}], [100, {"tokens_per_s": 12.0}]]
    )
    stage = Stage(
        of=TARGET, name="target[a]", function="toy:toy", labels={"condition": "mixed", "seed": 3, "task": "xnli"}
    )
    found = {curve.measure: curve for curve in curve_facts(stage, record, Home(tmp_path))}
    ends = np.cumsum([len(run) for run in np.array_split(np.zeros(250), 100)])
    assert found["loss"].at == tuple(ends) and found["loss"].values == tuple(made["loss_curve"])
    assert found["dev"].at == (100,) and found["dev"].values == (0.5,) and found["dev a"].values == (0.4,)
    assert found["tokens_per_s"].at == (50, 100) and set(found) == {"loss", "dev", "dev a", "dev b", "tokens_per_s"}
    assert {(c.condition, c.seed, c.target, c.step) for c in found.values()} == {("mixed", 3, "xnli", 1)}


def in_store_with(home, training, **manifest):
    """The record of a training with this `training.json`."""
    folder = home / "unfinished"
    folder.mkdir()
    (folder / "training.json").write_text(json.dumps(training))
    place = in_store(home, folder)
    files = {path.name: (file_digest(path), path.stat().st_size) for path in place.iterdir()}
    return Record(key="k", digest=place.name, files=files, manifest=manifest)


def test_a_course_is_thinned_out_and_keeps_its_figures():
    course = Course(["loss"])
    for done in range(1, 2001):
        course.hear({"event": "progress", "done": done, "total": 2000, "loss": float(done), "other": 1})
    course.hear({"event": "log", "message": "no figure"})
    course.hear({"event": "progress", "done": 1, "total": 1, "other": 2.0})
    points = course.points()
    assert 200 <= len(points) <= 400 and all(told == {"loss": float(done)} for done, told in points)
    steps = np.diff([done for done, _ in points])
    assert points[0][0] == 1 and points[-1][0] > 1980 and set(steps) == {8}
