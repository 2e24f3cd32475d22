"""Landing: idempotent, replaceable, rebuildable, movable."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.store import Store
from xtreme_dag.results import database
from xtreme_dag.results.facts import StageFacts
from xtreme_dag.results.landed import Landing
from xtreme_dag.results.landing import add, land, read_landings, rebuild
from xtreme_dag.results.query import reader
from xtreme_dag.results.rows import STUDY_TABLES
from xtreme_dag.results.stamp import landing_path


def everything(home, *, without_history=False):
    """All rows of all tables of a database, sorted."""
    with database.reading(Home(home).results) as connection:
        tables = [*STUDY_TABLES, "published_scores", "device_power", "schema_version"]
        return {table: sorted(map(repr, connection.execute(f"FROM {table}").fetchall())) for table in tables}


def test_a_landing_says_what_it_landed(make, home):
    made = make()
    report = land(Home(home), *made.arguments)
    assert report.changed and report.database == home / "results.duckdb"
    assert report.evaluations == len(made.evaluations) == 108
    assert report.scores == 36 * (1 + 4 + 3)  # accuracy; f1, precision, recall, token accuracy; two of answers and mean
    assert report.stages == len(made.stages)


def test_a_second_landing_of_the_same_leaves_the_file_alone(make, home):
    made = make()
    land(Home(home), *made.arguments)
    before = (home / "results.duckdb").read_bytes(), (home / "results.duckdb").stat()
    report = land(Home(home), *made.arguments)
    after = (home / "results.duckdb").read_bytes(), (home / "results.duckdb").stat()
    assert not report.changed and report.evaluations == 108
    assert (
        before[0] == after[0] and before[1].st_ino == after[1].st_ino and before[1].st_mtime_ns == after[1].st_mtime_ns
    )


def test_the_order_of_arrival_does_not_matter(make, home):
    made = make()
    land(Home(home), *made.arguments)
    once = everything(home)
    turned = made.study, made.evaluations[::-1], made.contracts[::-1], made.stages[::-1]
    land(Home(home), *turned)
    again = everything(home)
    assert {k: v for k, v in once.items() if k != "studies"} == {k: v for k, v in again.items() if k != "studies"}


def test_a_landing_replaces_its_own_study_and_nothing_else(make, home):
    land(Home(home), *make(name="one").arguments)
    land(Home(home), *make(name="two", seed=1).arguments)
    before = everything(home)
    made = make(name="one", conditions={"none": 0.6, "mixed": 0.7}, seeds=(1,), seed=2)
    land(Home(home), *made.arguments)
    after = everything(home)
    for table in STUDY_TABLES:
        assert [r for r in before[table] if "'two'" in r] == [r for r in after[table] if "'two'" in r]
    with reader(Home(home)) as connection:
        assert connection.execute("SELECT count(*) FROM evaluations WHERE study = 'one'").fetchone() == (36,)


def test_rebuild_from_the_store_gives_the_same_rows(make, home):
    land(Home(home), *make(name="one").arguments)
    land(Home(home), *make(name="two", seed=1).arguments)
    shorter = make(name="one", conditions={"none": 0.6, "mixed": 0.7}, seed=2)
    land(Home(home), *shorter.arguments)  # so that there is history
    before = everything(home)
    assert any("False" in row for row in before["stages"])
    (home / "results.duckdb").unlink()
    assert [report.study for report in rebuild(Home(home))] == ["one", "two"]
    assert everything(home) == before
    rebuild(Home(home))
    assert everything(home) == before


def test_a_landing_that_was_deleted_is_kept_again(make, home):
    """What a person is told to do about a damaged one: the database says the same, and can be made again from it."""
    made = make()
    land(Home(home), *made.arguments)
    before, kept = everything(home), landing_path(Home(home), made.study.name)
    content = kept.read_bytes()
    kept.unlink()
    land(Home(home), *made.arguments)
    assert kept.read_bytes() == content and everything(home) == before
    rebuild(Home(home))
    assert everything(home) == before


def test_stages_of_earlier_runs_stay_as_history(make, home):
    made = make(conditions={"none": 0.5, "mixed": 0.6})
    land(Home(home), *made.arguments)
    old = made.stages[0]
    new = replace(old, key="another-key", started="2026-11-02T10:00:00")
    land(Home(home), made.study, made.evaluations, made.contracts, [new, *made.stages[1:]])
    with reader(Home(home)) as connection:
        rows = connection.execute(
            "SELECT stage_key, current FROM stage_history WHERE name = ? ORDER BY started", [old.name]
        ).fetchall()
    assert rows == [(old.key, False), ("another-key", True)]
    land(Home(home), *made.arguments)  # the old key is current again
    with reader(Home(home)) as connection:
        rows = connection.execute("SELECT stage_key, current FROM stages WHERE name = ?", [old.name]).fetchall()
    assert sorted(rows) == [("another-key", False), (old.key, True)]


def test_a_moved_home_works(make, home, tmp_path):
    land(Home(home), *make().arguments)
    moved = tmp_path / "elsewhere"
    shutil.move(home, moved)
    with reader(Home(moved)) as connection:
        assert connection.execute("SELECT count(*) FROM predictions").fetchone() == (108 * 60,)
    (moved / "results.duckdb").unlink()
    assert rebuild(Home(moved))[0].evaluations == 108


def test_landings_are_kept_as_json_that_reads_back(make, home):
    made = make()
    land(Home(home), *made.arguments)
    landing = read_landings(Home(home))[0]
    assert Landing.from_json(json.loads(json.dumps(landing.to_json()))) == landing
    assert {row.stage_key for row in landing.evaluations} == {row.stage_key for row in made.evaluations}
    assert all(not row.artifact.is_absolute() for row in landing.evaluations)


def test_names_that_are_no_file_names(make, home):
    made = make(conditions={"none": 0.5, "mixed": 0.6}, seeds=(1,))
    study = replace(made.study, name="../a/b: c?")
    land(Home(home), study, made.evaluations, made.contracts, made.stages)
    assert landing_path(Home(home), study.name).parent == home / "landings"
    assert rebuild(Home(home))[0].study == study.name


def test_another_machines_home_can_be_added(make, home, tmp_path):
    from tests.results.synthetic_study import make_study

    other = tmp_path / "box2"
    land(Home(other), *make_study(other, name="demo", seed=5).arguments)
    land(Home(other), *make_study(other, name="more", seed=6).arguments)
    land(Home(home), *make(name="demo").arguments)
    with pytest.raises(UserError, match="already here"):
        add(Home(home), other)
    reports = add(Home(home), other, label="box2")
    assert [(r.study, r.changed) for r in reports] == [("box2:demo", True), ("box2:more", True)]
    assert [r.changed for r in add(Home(home), other, label="box2")] == [False, False]
    with reader(Home(home)) as connection:
        counted = dict(connection.execute("SELECT study, count(*) FROM predictions GROUP BY ALL").fetchall())
        origin = connection.execute("SELECT origin FROM studies WHERE study = 'box2:demo'").fetchone()
    assert counted == {"demo": 6480, "box2:demo": 6480, "box2:more": 6480}
    assert origin == (other.resolve().as_posix(),)
    before = everything(home)
    rebuild(Home(home))
    assert everything(home) == before


def test_adding_a_home_without_landings_is_an_error(home, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no landings"):
        add(Home(home), tmp_path / "empty")


def test_lineage_joins_conditions_to_all_they_hang_on(make, home):
    made = make(conditions={"none": 0.5, "mixed": 0.6}, seeds=(1,), tasks={"xnli": "accuracy"}, languages=("en",))
    unrelated = StageFacts(key="unrelated", kind="prepare", name="prepare[x]", digest="nowhere")
    land(Home(home), made.study, made.evaluations, made.contracts, [*made.stages, unrelated])
    with reader(Home(home)) as connection:
        rows = connection.execute(
            "SELECT kind, count(*) FROM condition_stages JOIN stages USING (study, stage_key)"
            " WHERE condition = 'mixed' GROUP BY kind ORDER BY kind"
        ).fetchall()
    assert rows == [("evaluate", 2), ("intermediate", 1), ("prepare", 1), ("target", 1)]


def test_scores_that_cannot_be_read_land_nothing(make, home):
    land(Home(home), *make(name="good").arguments)
    before = (home / "results.duckdb").read_bytes()
    made = make(name="bad", seed=3)
    (made.evaluations[5].artifact / "scores.json").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        land(Home(home), *made.arguments)
    assert (home / "results.duckdb").read_bytes() == before
    assert [landing.study.name for landing in read_landings(Home(home))] == ["good"]


def test_scores_are_held_against_their_record(make, home, tmp_path, monkeypatch):
    made, store = make(), Store(Home(home).store)
    row = made.evaluations[5]
    manifest = dict.fromkeys(("name", "kind", "function", "host", "git_commit"), "") | {
        name: {} for name in ("params", "inputs", "libraries", "options", "figures")
    }
    times = {"started": "2026-01-01T00:00:00+00:00", "seconds": 1.0, "peak_memory_bytes": 1}
    record = store.commit(
        "ab" * 32, Path(shutil.copytree(row.artifact, tmp_path / "out")), {**manifest, **times, "code": "0" * 64}
    )
    assert store.artifact(record.digest) == row.artifact
    made.evaluations[5] = replace(row, stage_key=record.key)
    made.stages[:] = [replace(one, key=record.key) if one.key == row.stage_key else one for one in made.stages]
    land(Home(home), *made.arguments)
    scores = row.artifact / "scores.json"
    text = scores.read_text()
    scores.write_text(text[:-3] + chr(ord(text[-3]) ^ 1) + text[-2:])  # still JSON, of the same size
    with pytest.raises(UserError, match="gone or damaged") as error:
        rebuild(Home(home))
    assert error.value.where == str(scores)
    with monkeypatch.context() as here:
        here.chdir(home.parent)
        with pytest.raises(UserError, match="gone or damaged"):
            rebuild(Home(Path(home.name)))
    scores.write_text("{}")
    with pytest.raises(UserError, match="gone or damaged"):
        rebuild(Home(home))
    store.record_path(record.key).unlink()
    with pytest.raises(UserError, match="has no scores"):
        rebuild(Home(home))


def test_what_the_database_refuses_leaves_the_landing_as_it_was(make, home):
    land(Home(home), *make(name="good", seeds=(1,)).arguments)
    made = make(name="good", seeds=(1,))
    study = replace(made.study, seeds=(2**63,))  # more than DuckDB's BIGINT
    with pytest.raises((OverflowError, duckdb.Error)):
        land(Home(home), study, *made.arguments[1:])
    assert read_landings(Home(home))[0].study.seeds == (1,)
    assert [report.study for report in rebuild(Home(home))] == ["good"]


def test_an_evaluation_without_known_outcomes_lands_without_scores(make, home):
    made = make(conditions={"none": 0.5, "mixed": 0.6}, seeds=(1,), tasks={"xnli": "accuracy"})
    path = made.evaluations[0].artifact / "scores.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"metrics": {}, "n": 0}))
    report = land(Home(home), *made.arguments)
    assert report.evaluations == 12 and report.scores == 11


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made: {"study": replace(made.study, baseline="nine")}, "baseline 'nine'"),
        (lambda made: {"evaluations": [*made.evaluations, made.evaluations[0]]}, "evaluated 2 times"),
        (
            lambda made: {"evaluations": [replace(made.evaluations[0], condition="mixd"), *made.evaluations[1:]]},
            "'mixd' is not one of its conditions",
        ),
        (lambda made: {"evaluations": [replace(made.evaluations[0], primary="bleu")]}, "no metric 'bleu'"),
    ],
)
def test_what_cannot_be_landed_is_refused(make, home, change, message):
    made = make()
    parts = {"study": made.study, "evaluations": made.evaluations} | change(made)
    with pytest.raises(UserError, match=message):
        land(Home(home), parts["study"], parts["evaluations"], made.contracts, made.stages)
    assert not (home / "results.duckdb").exists()


def test_a_landing_file_that_is_none_is_named(make, home):
    land(Home(home), *make().arguments)
    landing_path(Home(home), "demo").write_text("[]")
    with pytest.raises(UserError, match="is not a landing"):
        rebuild(Home(home))


def test_what_the_catalogue_knows_is_added(make, home):
    land(Home(home), *make().arguments)
    with reader(Home(home)) as connection:
        languages = connection.execute("SELECT language, name, family FROM languages ORDER BY ALL").fetchall()
        groups = dict(connection.execute('SELECT task, "group" FROM tasks').fetchall())
    assert languages == [
        ("de", "German", "Indo-European: Germanic"),
        ("en", "English", "Indo-European: Germanic"),
        ("sw", "Swahili", "Niger-Congo"),
    ]
    assert groups["xnli"] == "classification" and groups["tatoeba"] == "retrieval"


def test_generated_languages_are_known_by_their_kinship(make, home):
    made = make(languages=("en", "qaa", "qaf"))
    study = replace(made.study, recipe={"data": {"miniworld": {"seed": 7}}})
    land(Home(home), study, made.evaluations, made.contracts, made.stages)
    with reader(Home(home)) as connection:
        kinship = dict(connection.execute("SELECT language, kinship FROM languages").fetchall())
        beside = connection.execute("SELECT count(*) FROM beside_published WHERE ours IS NOT NULL").fetchone()
    assert kinship["en"] == 1.0 and 0 < kinship["qaf"] < kinship["qaa"] < 1
    assert beside == (0,)
