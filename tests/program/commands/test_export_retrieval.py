"""`export`, `score` and `import` of choices, MLQA, mined pairs and rankings, on evaluations that really ran."""

import json
from dataclasses import replace

import duckdb
import pytest
import yaml
from click.testing import CliRunner

from tests.e2e.conftest import STUDY
from tests.program.commands.retrieval_release import write_release
from tests.workers import shared_worker
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.core.home import Home
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.graph import Output, Stage
from xtreme_dag.engine.local import run_local
from xtreme_dag.program.commands import export, import_, score, sql
from xtreme_dag.program.publish import land_study
from xtreme_dag.study.file import load_study
from xtreme_dag.study.recipe import load_recipe
from xtreme_dag.wiring.build import build
from xtreme_dag.wiring.entry import RANK_POOL, entry
from xtreme_dag.wiring.kinds import EVALUATE, SEARCH
from xtreme_dag.wiring.tables import Tables

ROWS = 20
TASKS = {
    "xtreme": {"bucc2018": ("de", "ru"), "mlqa": ("de", "en")},
    "xtreme-r": {"xcopa": ("et",), "mlqa": ("de", "en"), "lareqa": ("de", "en", "ru"), "mewslix": ("de", "en")},
}
POOLED = {"lareqa": ("de", "en", "ru"), "mewslix": ("de", "en")}


def add_pooled(study, built):
    """Adds the evaluations that search the pool of all languages, with the bare encoder."""
    catalogue, recipe = load_catalogue(), load_recipe(study.recipe)
    tables = Tables(study, built.graph, catalogue, recipe)
    [base] = [stage for stage in built.graph if stage.kind == "pretrain"]
    for name, languages in POOLED.items():
        task = catalogue.task(name)
        inputs = {}
        for language in languages:
            raw = tables.canonical(task.test, language)
            encoded = tables.encode(raw, "embedding", name, Output(stage=base.name, part="tokenizer"))
            inputs |= {f"encoded:{language}": Output(stage=encoded.name), f"table:{language}": encoded.inputs["table"]}
        recipe_of_task = {"pooling": "mean", "layer": 0}
        search = built.graph.add(
            Stage(
                of=SEARCH,
                name=f"search[{name} | none | seed 1]",
                function=RANK_POOL,
                params={"task": name, "recipe": recipe_of_task},
                inputs={"model": Output(stage=base.name), **inputs},
            )
        )
        for language in languages:
            facts = {"task": name, "dataset": name, "language": language, "split": "test"}
            own = {"encoded": inputs[f"encoded:{language}"], "table": inputs[f"table:{language}"]}
            built.graph.add(
                Stage(
                    of=EVALUATE,
                    name=f"evaluate[{name} | {language} | none | seed 1]",
                    function=entry(catalogue.dataset(name).format, name),
                    params={**facts, "head": task.head, "labels": [], "recipe": recipe_of_task},
                    inputs={"model": Output(stage=base.name), "ranked": Output(stage=search.name), **own},
                    labels={**facts, "condition": "none", "seed": 1},
                )
            )
    return replace(built, tasks=(*built.tasks, *(catalogue.task(name) for name in POOLED)))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home where the study has landed."""
    folder = tmp_path_factory.mktemp("retrieval")
    write_release(folder / "release", ROWS)
    document = {
        **STUDY,
        "study": "pools",
        "data": {"folder": str(folder / "release"), "contracts": False},
        "languages": ["en", "de", "ru", "et"],
        "intermediate": {"none": None},
        "targets": ["xcopa", "mlqa", "bucc2018"],
        "compare": {"baseline": "none"},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    study, home = load_study(folder / "study.yaml"), Home(folder / "home").ensure()
    built = add_pooled(study, build(study))
    executor = Executor(home, study.study, shared_worker())
    outcomes = run_local(built.graph, executor)
    assert set(outcomes.values()) <= {"succeeded", "cached"}, outcomes
    land_study(home, study, built, dict(executor.known))
    return home


def told(command, *arguments):
    found = CliRunner().invoke(command, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def rows(home, query):
    with duckdb.connect(str(home.results), read_only=True) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture(scope="module", params=["xtreme", "xtreme-r"])
def exported(request, home, tmp_path_factory):
    """The benchmark, the folder with submission and labels, and what `export` said."""
    folder = tmp_path_factory.mktemp("exported")
    report = told(
        export.command, "--study", "pools", "--condition", "none", "--seed", 1, "--benchmark", request.param,
        "--out", folder / "submission", "--labels", folder / "labels", "--home", home.root,
    )  # fmt: skip
    return request.param, folder, report


def test_scores_of_the_files_are_those_of_the_database(home, exported):
    benchmark, folder, report = exported
    assert report["warnings"] == []
    assert report["files"] == sum(map(len, TASKS[benchmark].values()))
    found = told(
        score.command, "--predictions", folder / "submission", "--labels", folder / "labels", "--benchmark", benchmark
    )["tasks"]
    assert {task: tuple(sorted(languages)) for task, languages in found.items()} == TASKS[benchmark]
    known = rows(home, "SELECT task, language, metric, value FROM scores WHERE condition = 'none' AND split = 'test'")
    known = {(task, language, metric): value for task, language, metric, value in known}
    compared = {
        (task, language, metric): value
        for task, languages in found.items()
        for language, metrics in languages.items()
        for metric, value in metrics.items()
    }
    assert compared == pytest.approx({cell: known[cell] for cell in compared}, abs=1e-9, rel=0)
    # Neither nothing nor everything is right, or equality would say little.
    partly = {task for (task, _, _), value in compared.items() if 0 < value < 100}
    assert partly >= set(TASKS[benchmark]) & {"bucc2018", "lareqa", "mewslix", "xcopa"}


def test_lareqa_counts_the_right_sentences_of_all_languages(exported):
    benchmark, folder, _ = exported
    if benchmark == "xtreme":  # it has no LAReQA
        assert not any((folder / part / "lareqa").exists() for part in ("labels", "submission"))
        return
    for language in POOLED["lareqa"]:
        labels = json.loads((folder / "labels" / "lareqa" / f"test-{language}.json").read_text())
        ranked = json.loads((folder / "submission" / "lareqa" / f"test-{language}.json").read_text())
        assert len(labels) == len(ranked) == ROWS
        for name, right in labels.items():
            assert sorted(one.partition(":")[0] for one in right) == ["de", "en", "ru"]
            assert len(ranked[name]) == len(set(ranked[name])) == 20


def test_predictions_come_back_example_by_example(home, exported):
    benchmark, folder, _ = exported
    name = f"theirs_{benchmark.replace('-', '_')}"
    report = told(
        import_.command, "--name", name, folder / "submission", "--study", "pools", "--home", home.root,
    )  # fmt: skip
    assert report["warnings"] == report["not_taken"] == []
    tasks = TASKS[benchmark]
    assert set(report["scores"]) == {
        f"{task}/{language}" for task, languages in tasks.items() for language in languages
    }
    query = (
        "SELECT a.task, count(*) AS n, count(*) FILTER (a.gold = b.gold AND a.prediction = b.prediction) AS same"
        " FROM predictions a JOIN predictions b USING (study, task, language, split, seed, id)"
        f" WHERE a.condition = 'none' AND b.condition = '{name}' GROUP BY ALL"
    )
    arguments = [query, "--format", "json", "--home", str(home.root)]
    same = json.loads(CliRunner().invoke(sql.command, arguments, catch_exceptions=False).stdout)
    assert {row["task"]: (row["n"], row["same"]) for row in same} == {
        task: (len(languages) * ROWS,) * 2 for task, languages in tasks.items()
    }
    values = rows(
        home,
        "SELECT a.value, b.value FROM scores a JOIN scores b USING (task, language, split, metric, seed)"
        f" WHERE a.condition = 'none' AND b.condition = '{name}' AND a.split = 'test'",
    )
    assert len(values) >= len(report["scores"])
    assert all(own == pytest.approx(theirs, abs=1e-9) for own, theirs in values)
