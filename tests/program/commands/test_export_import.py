"""`xtreme-dag export` and `import`, on a study that really ran: out, scored, in again, compared."""

import json
import shutil
from dataclasses import dataclass, replace

import duckdb
import pytest
import yaml
from click.testing import CliRunner

from tests.e2e.conftest import STUDY, write_release
from tests.workers import shared_worker
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.local import run_local
from xtreme_dag.engine.store import Store
from xtreme_dag.program.cli import COMMANDS
from xtreme_dag.program.commands import compare, export, gc, import_, results, score, sql
from xtreme_dag.program.publish import land_study
from xtreme_dag.results.imports import import_path
from xtreme_dag.results.landed import Landing
from xtreme_dag.results.stamp import is_published, mark_published, report_path
from xtreme_dag.study.file import load_study
from xtreme_dag.wiring.build import build

# XNLI, UD-POS and XQuAD in three languages, Tatoeba in the two that are not English.
CELLS, ROWS = 11, 24


@dataclass(frozen=True)
class Ran:
    """A study that ran, and its home."""

    home: Home
    study: object
    built: object
    done: dict

    def call(self, command, *arguments):
        given = [*map(str, arguments), "--home", str(self.home.root)]
        return CliRunner().invoke(command, given, catch_exceptions=False)

    def json(self, command, *arguments):
        found = self.call(command, *arguments, "--json")
        assert found.exit_code == 0, found.output
        return json.loads(found.stdout)

    def export(self, out, *more, condition="none", seed=1):
        run = ("--study", "tiny", "--condition", condition, "--seed", seed)
        return self.json(export.command, *run, "--format", "xtreme", "--out", out, *more)

    def take(self, folder, *more, name="theirs"):
        return self.json(import_.command, "--name", name, folder, "--study", "tiny", *more)

    def compare(self, *more):
        return self.json(compare.command, "--study", "tiny", "--resamples", "100", *more)

    def land(self):
        land_study(self.home, self.study, self.built, self.done)

    def rows(self, query):
        with duckdb.connect(str(self.home.results), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def conditions(self):
        return [row[0] for row in self.rows("SELECT condition FROM conditions ORDER BY position")]

    def everything(self):
        """All rows about evaluations and scores."""
        return [self.rows(f"SELECT * FROM {table} ORDER BY ALL") for table in ("evaluations", "scores", "stages")]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write_release(folder / "release", test=ROWS)
    return run(folder, "none", "english", seeds=[1, 2])


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """A study of one task that takes some of the rows of its files alone."""
    folder = tmp_path_factory.mktemp("limited")
    write_release(folder / "release", test=120)
    limit = {"train": 40, "datasets": {"xnli": {"test": 110}}}
    more = {"targets": ["xnli"], "languages": ["en", "de"], "compare": {"baseline": "none"}}
    return run(folder, "none", limit=limit, **more)


def run(folder, *conditions, limit=None, **more):
    """Runs a study of the release in a folder, in a home beside it."""
    document = {
        **STUDY,
        "data": {"folder": str(folder / "release"), "contracts": False, **({"limit": limit} if limit else {})},
        "intermediate": {name: STUDY["intermediate"][name] for name in conditions},
        **more,
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    study = load_study(folder / "study.yaml")
    built, home = build(study), Home(folder / "home").ensure()
    executor = Executor(home, study.study, shared_worker())
    outcomes = run_local(built.graph, executor)
    assert set(outcomes.values()) <= {"succeeded", "cached"}
    ran = Ran(home, study, built, dict(executor.known))
    ran.land()
    return ran


@pytest.fixture
def ran(finished, tmp_path):
    """The same in a home that a test may change."""
    home = Home(tmp_path / "home")
    shutil.copytree(finished.home.root, home.root, symlinks=True)
    return replace(finished, home=home)


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    """A submission and its labels."""
    folder = tmp_path_factory.mktemp("exported")
    finished.export(folder / "submission", "--labels", folder / "labels", condition="english", seed=2)
    return folder


def scored(predictions, labels):
    """Figures of `xtreme-dag score` by task, language and metric."""
    given = ["--predictions", str(predictions), "--labels", str(labels), "--benchmark", "xtreme-r", "--json"]
    report = json.loads(CliRunner().invoke(score.command, given, catch_exceptions=False).stdout)
    return {
        (task, language, metric): value
        for task, languages in report["tasks"].items()
        for language, metrics in languages.items()
        for metric, value in metrics.items()
    }


def test_what_is_exported_and_scored_has_the_figures_of_the_database(finished, tmp_path):
    out, labels = tmp_path / "submission", tmp_path / "labels"
    told = finished.export(out, "--labels", labels)
    assert (told["benchmark"], told["files"], told["examples"]) == ("xtreme-r", CELLS, CELLS * ROWS)
    assert told["left_out"] == told["warnings"] == []
    found = scored(out, labels)
    rows = finished.rows("SELECT task, language, metric, value FROM scores WHERE seed = 1 AND condition = 'none'")
    known = {(task, language, metric): value for task, language, metric, value in rows if metric != "em_f1_mean"}
    assert len({cell[:2] for cell in found}) == CELLS
    assert found == pytest.approx(known, abs=1e-9, rel=0)


def test_the_metadata_says_where_each_file_comes_from_and_what_is_missing(finished, exported):
    metadata = json.loads((exported / "submission" / "metadata.json").read_text())
    assert [metadata[name] for name in ("study", "condition", "seed")] == ["tiny", "english", 2]
    assert metadata["benchmark"] == "xtreme-r"
    store = Store(finished.home.store)
    assert len(metadata["evaluations"]) == CELLS
    for cell, one in metadata["evaluations"].items():
        record = store.read(one["key"])
        assert record.digest == one["digest"]
        assert record.manifest["params"]["language"] == cell.partition("/")[2]
        assert {name: entry["digest"] for name, entry in record.manifest["inputs"].items()} == one["inputs"]
    assert metadata["versions"]["torch"] and metadata["versions"]["xtreme-dag"]
    assert "xnli/test-sw.tsv" in metadata["missing"] and "xnli/test-de.tsv" not in metadata["missing"]
    assert str(exported) not in json.dumps(metadata)


def test_the_metadata_says_how_much_of_the_data_was_used(finished, limited, exported, tmp_path):
    metadata = json.loads((exported / "submission" / "metadata.json").read_text())
    assert metadata["limit"] == {}  # but the files have few of the examples that were published
    assert "xnli test (de en ru) has 24 of 5,010 examples" in metadata["data"]
    limited.export(tmp_path / "out")
    metadata = json.loads((tmp_path / "out" / "metadata.json").read_text())
    assert metadata["limit"] == {"train": 40, "datasets": {"xnli": {"test": 110}}}
    assert {line for line in metadata["data"] if " dev " not in line} == {
        "mnli train (en) has 40 of 392,702 examples", "xnli test (de en) has 110 of 5,010 examples"
    }  # fmt: skip


def test_an_import_of_the_labels_themselves_is_pointed_out(limited, tmp_path):
    limited.export(tmp_path / "out", "--labels", tmp_path / "labels")
    told = limited.take(tmp_path / "labels", name="copied")
    assert told["scores"] == {"xnli/de": 100.0, "xnli/en": 100.0}
    copies = [f"xnli/{code}: all 110 predictions are right: is the file a copy of the labels?" for code in ("de", "en")]
    assert [line for line in told["warnings"] if "copy of the labels" in line] == copies
    path = tmp_path / "labels" / "xnli" / "test-de.tsv"
    first, _, rest = path.read_text().partition("\n")
    path.write_text(f"{'neutral' if first != 'neutral' else 'entailment'}\n{rest}")
    told = limited.take(tmp_path / "labels", name="nearly")
    assert [line for line in told["warnings"] if "copy of the labels" in line] == copies[1:]


def test_an_export_says_what_is_missing_and_what_is_left_out(finished, tmp_path):
    found = finished.call(
        export.command, "--study", "tiny", "--condition", "none", "--seed", 1, "--out", tmp_path / "out",
        "--benchmark", "xtreme",
    )  # fmt: skip
    assert found.exit_code == 0
    assert f"{CELLS} files of xtreme, {CELLS * ROWS} predictions" in found.stdout
    assert "missing: pawsx: de, en, es, fr, ja, ko, zh" in found.stdout
    assert "missing: xquad: ar, el, es, hi, th, tr, vi, zh" in found.stdout


def test_an_export_is_the_same_twice(finished, exported, tmp_path):
    finished.export(tmp_path / "again", condition="english", seed=2)
    first = {path.relative_to(exported / "submission"): path for path in (exported / "submission").rglob("*.*")}
    assert len(first) == CELLS + 1
    for name, path in first.items():
        assert (tmp_path / "again" / name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("study", "condition", "seed", "message"),
    [
        ("tinny", "none", 1, "no study 'tinny' has landed\n  did you mean 'tiny'?"),
        ("tiny", "englsh", 1, "no condition 'englsh' with test predictions\n  did you mean 'english'?"),
        ("tiny", "none", 3, "condition 'none' has no seed 3\n  valid: 1, 2"),
    ],
)
def test_an_unknown_run_is_an_error_that_helps(finished, tmp_path, study, condition, seed, message):
    arguments = ("--study", study, "--condition", condition, "--seed", seed, "--out", tmp_path / "out")
    with pytest.raises(UserError) as raised:
        finished.call(export.command, *arguments)
    assert message in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(finished, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not an empty folder"):
        finished.export(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(UserError, match="not an empty folder"):
        finished.export(tmp_path, "--labels", tmp_path.with_name("labels"))
    with pytest.raises(UserError, match="not an empty folder"):
        finished.export(tmp_path.with_name("submission"), "--labels", tmp_path)
    assert not tmp_path.with_name("labels").exists()
    assert not tmp_path.with_name("submission").exists()


def test_an_empty_folder_is_filled(finished, tmp_path):
    (tmp_path / "out").mkdir()
    assert finished.export(tmp_path / "out")["files"] == CELLS
    assert (tmp_path / "out" / "metadata.json").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_table_that_is_gone_is_an_error_and_leaves_no_folder(ran, tmp_path):
    key = next(key for name, key in ran.done.items() if name == "prepare[xnli | de | test]")
    store = Store(ran.home.store)
    shutil.rmtree(store.artifact(store.read(key).digest))
    with pytest.raises(UserError, match=r"xnli/de: .* gone or damaged"):
        ran.export(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_predictions_that_come_back_differ_in_nothing(ran, exported, tmp_path):
    told = ran.take(exported / "submission")
    assert (told["seed"], told["benchmark"], len(told["scores"])) == (2, "xtreme-r", CELLS)
    assert told["missing"] == told["not_taken"] == told["warnings"] == []
    ran.export(tmp_path / "first", condition="english", seed=1)
    assert ran.take(tmp_path / "first")["seed"] == 1
    assert ran.conditions() == ["none", "english", "theirs"]
    [found] = ran.compare("--baseline", "english", "--condition", "theirs")
    assert {effect["task"] for effect in found["tasks"]} == {"xnli", "udpos", "xquad", "tatoeba"}
    for effect in [found["overall"], *found["tasks"], *found["languages"]]:
        assert effect["delta"] == 0
        assert effect["baseline_value"] == effect["value"]
    pairs = ran.rows(
        "SELECT a.value, b.value FROM scores a JOIN scores b USING (task, language, split, metric, seed)"
        " WHERE a.condition = 'english' AND b.condition = 'theirs'"
    )
    assert len(pairs) >= 2 * CELLS and all(own == theirs for own, theirs in pairs)


def test_predictions_come_back_example_by_example(ran, exported):
    ran.take(exported / "submission")
    query = (
        "SELECT a.task, count(*) AS n, count(*) FILTER (a.prediction = b.prediction AND a.gold = b.gold) AS same"
        " FROM predictions a JOIN predictions b USING (study, task, language, split, seed, id)"
        " WHERE a.condition = 'english' AND b.condition = 'theirs' GROUP BY ALL ORDER BY ALL"
    )
    found = json.loads(ran.call(sql.command, query, "--format", "json").stdout)
    assert [(row["task"], row["n"], row["same"]) for row in found] == [
        (task, cells * ROWS, cells * ROWS) for task, cells in (("tatoeba", 2), ("udpos", 3), ("xnli", 3), ("xquad", 3))
    ]


def test_other_predictions_make_the_difference_that_they_are(ran, exported, tmp_path):
    folder = tmp_path / "theirs"
    for language in ("en", "de"):
        gold = (exported / "labels" / "xnli" / f"test-{language}.tsv").read_text()
        (folder / "xnli").mkdir(parents=True, exist_ok=True)
        (folder / "xnli" / f"test-{language}.tsv").write_text(gold)
    told = ran.take(folder)
    assert told["scores"] == {"xnli/de": 100.0, "xnli/en": 100.0}
    assert told["seed"] == 1 and told["warnings"] == []  # so few may all be right
    assert "xnli/ru" in told["missing"] and "udpos/en" in told["missing"]
    [found] = ran.compare("--condition", "theirs", "--baseline", "none")
    own = dict(
        ran.rows(
            "SELECT language, avg(value) FROM scores"
            " WHERE condition = 'none' AND task = 'xnli' AND split = 'test' GROUP BY ALL"
        )
    )
    deltas = {effect["language"]: effect["delta"] for effect in found["languages"]}
    assert deltas == pytest.approx({code: 100 - own[code] for code in ("en", "de")}, abs=1e-4)
    values = "SELECT language, value FROM scores WHERE condition = 'theirs' AND is_primary ORDER BY ALL"
    assert ran.rows(values) == [("de", 100.0), ("en", 100.0)]


def test_outside_labels_are_what_is_scored_with(ran, exported, tmp_path):
    shutil.copytree(exported / "labels" / "xnli", tmp_path / "labels" / "xnli")
    path = tmp_path / "labels" / "xnli" / "test-de.tsv"
    given = (exported / "submission" / "xnli" / "test-de.tsv").read_text()
    path.write_text(given)
    told = ran.take(exported / "submission", "--labels", tmp_path / "labels")
    assert told["scores"]["xnli/de"] == 100.0
    assert set(told["scores"]) == {"xnli/de", "xnli/en", "xnli/ru"}
    assert any(warning.startswith("udpos/de: no labels") for warning in told["warnings"])
    path.write_text(given + "neutral\n")
    with pytest.raises(UserError, match="24 lines for 25 labels"):
        ran.take(exported / "submission", "--labels", tmp_path / "labels", name="others")
    assert ran.conditions() == ["none", "english", "theirs"]


def test_a_later_run_and_a_rebuild_keep_the_import(ran, exported):
    ran.take(exported / "submission")
    before = ran.everything()
    ran.land()
    assert ran.everything() == before
    ran.home.results.unlink()
    assert ran.call(results.command, "rebuild").exit_code == 0
    assert ran.everything() == before
    assert ran.conditions() == ["none", "english", "theirs"]


def test_an_import_of_an_earlier_version_is_doubted_at_the_next_landing(ran, exported, tmp_path):
    """One answer to all is a signal of the predictions, and is looked for whenever they land."""
    folder = tmp_path / "constant"
    (folder / "xnli").mkdir(parents=True)
    (folder / "xnli" / "test-de.tsv").write_text("neutral\n" * ROWS)
    ran.take(folder)
    doubts = "SELECT w.warning FROM stage_warnings w JOIN evaluations e USING (stage_key) WHERE e.condition = 'theirs' ORDER BY 1"
    told = ran.rows(doubts)
    assert ("one answer",) in told
    path = import_path(ran.home, "tiny", "theirs")
    kept = Landing.read(path, what="an import", fix="")
    replace(kept, stages=tuple(replace(stage, warnings=()) for stage in kept.stages)).save(path)
    ran.home.results.unlink()
    ran.land()
    assert ran.rows(doubts) == told


def test_garbage_collection_keeps_the_import(ran, exported):
    ran.take(exported / "submission")
    before = {row[0] for row in ran.rows("SELECT predictions FROM evaluations WHERE condition = 'theirs'")}
    assert len(before) == CELLS
    ran.json(gc.command)
    assert all((ran.home.root / path).is_file() for path in before)


def test_an_import_makes_the_report_due_again(ran, exported):
    ran.home.reports.mkdir()
    report_path(ran.home, ran.study).write_text("as it was before")
    mark_published(ran.home, ran.study, "same", [], [])
    assert is_published(ran.home, ran.study, "same")
    ran.take(exported / "submission")
    assert not is_published(ran.home, ran.study, "same")


def test_the_same_twice_changes_nothing_and_another_seed_is_added(ran, exported):
    ran.take(exported / "submission")
    before, database = ran.everything(), ran.home.results.read_bytes()
    ran.take(exported / "submission")
    assert ran.everything() == before
    assert ran.home.results.read_bytes() == database
    ran.take(exported / "submission", "--seed", 1)
    count = "SELECT seed, count(*) FROM evaluations WHERE condition = 'theirs' GROUP BY ALL ORDER BY ALL"
    assert ran.rows(count) == [(1, CELLS), (2, CELLS)]


def test_the_same_name_replaces_what_it_had(ran, exported, tmp_path):
    ran.take(exported / "submission")
    shutil.copytree(exported / "submission" / "xnli", tmp_path / "less" / "xnli")
    ran.take(tmp_path / "less", "--seed", 2)
    assert ran.rows("SELECT DISTINCT task FROM evaluations WHERE condition = 'theirs'") == [("xnli",)]


def test_a_deleted_import_is_gone_after_the_next_landing(ran, exported):
    ran.take(exported / "submission")
    import_path(ran.home, "tiny", "theirs").unlink()
    ran.land()
    assert ran.conditions() == ["none", "english"]
    assert ran.rows("SELECT count(*) FROM evaluations WHERE condition = 'theirs'") == [(0,)]


def test_a_damaged_import_does_not_stop_a_run(ran, exported):
    ran.take(exported / "submission")
    [(digest,)] = ran.rows(
        "SELECT digest FROM evaluations WHERE condition = 'theirs' AND task = 'xnli' AND language = 'de'"
    )
    Store(ran.home.store).set_aside(digest, "test")
    ran.land()
    assert ran.rows("SELECT count(*) FROM evaluations WHERE condition = 'theirs'") == [(CELLS - 1,)]
    ran.take(exported / "submission")
    assert ran.rows("SELECT count(*) FROM evaluations WHERE condition = 'theirs'") == [(CELLS,)]


def test_an_import_can_be_exported(ran, exported, tmp_path):
    ran.take(exported / "submission")
    assert ran.export(tmp_path / "again", condition="theirs", seed=2)["files"] == CELLS
    assert scored(tmp_path / "again", exported / "labels") == scored(exported / "submission", exported / "labels")


@pytest.mark.parametrize(
    ("path", "more", "message"),
    [
        ("xnli/test-de.tsv", ("--study", "tinny"), "did you mean 'tiny'?"),
        ("xnli/test-de.tsv", ("--name", "english"), "'english' is a condition of its own"),
        ("xnli/test-de.tsv", ("--name", "a/b"), "'a/b' is no name"),
        ("xnli/test-dee.tsv", (), "xnli/test-dee.tsv is not a file of xtreme-r\n  did you mean 'xnli/test-de.tsv'?"),
        ("pawsx/test-de.tsv", (), "is it --benchmark xtreme?"),
        ("xnli/test-sw.tsv", (), "nothing to import: it has xnli/test-sw.tsv"),
        ("readme.md", (), "nothing to import: it has no file of the layout"),
        ("metadata.json", (), "is not a JSON object"),
        ("xnli/test-de.tsv", (), "1 lines for 24 labels"),
    ],
)
def test_what_cannot_be_imported_is_an_error_that_helps(ran, tmp_path, path, more, message):
    folder = tmp_path / "theirs"
    (folder / path).parent.mkdir(parents=True)
    (folder / path).write_text("7\n")
    before = ran.home.results.read_bytes()
    with pytest.raises(UserError) as raised:
        ran.json(import_.command, "--name", "theirs", folder, "--study", "tiny", *more)
    assert message in str(raised.value)
    assert len(str(raised.value).splitlines()) <= 2
    assert ran.home.results.read_bytes() == before
    assert not import_path(ran.home, "tiny", "theirs").exists()


def test_what_people_read(ran, exported, tmp_path):
    shutil.copytree(exported / "submission" / "xnli", tmp_path / "less" / "xnli")
    (tmp_path / "less" / "xnli" / "test-sw.tsv").write_text("neutral\n")
    found = ran.call(import_.command, "--name", "theirs", tmp_path / "less", "--study", "tiny")
    assert found.exit_code == 0
    assert "tiny: condition theirs, seed 1: 3 evaluations landed" in found.stdout
    assert "missing, the study has them: tatoeba/de" in found.stdout
    assert "not taken, the study has no table for them: xnli/test-sw.tsv" in found.stdout


def test_the_program_has_both_with_an_example():
    assert (COMMANDS["export"][0], COMMANDS["import"][0]) == ("export", "import_")
    for name, command in (("export", export.command), ("import", import_.command)):
        assert f"xtreme-dag {name} --" in CliRunner().invoke(command, ["--help"]).stdout
