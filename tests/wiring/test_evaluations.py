"""Evaluation in the graph: thresholds from dev, one pool of all languages, and which model embeds."""

import json

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.evaluation.families import FAMILY
from tests.wiring.small_studies import LANGUAGES, small
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.graph import Output
from xtreme_dag.scoring.combine import FAMILIES, values
from xtreme_dag.wiring.build import build


def study(targets, **evaluate):
    recipe = {"name": "quick", "target": {"default": {"epochs": 1}}, "evaluate": evaluate}
    return small({"none": None}, targets=targets, recipe=recipe)


def scores(bench, name):
    return json.loads((bench.artifact(name) / "scores.json").read_text())


def test_the_threshold_of_bitext_mining_comes_from_dev(bench):
    bench.run(study(["bucc2018"]), "evaluate")
    test = scores(bench, "evaluate[bucc2018 | qaa | none | seed 1]")
    dev = scores(bench, "evaluate[bucc2018 | qaa dev | none | seed 1]")
    assert test["split"] == "test" and dev["split"] == "dev"
    assert dev["threshold_chosen_on"] == test["threshold_chosen_on"] == "dev"
    assert test["threshold"] == dev["threshold"]


def test_the_pool_holds_all_languages_of_the_source_whatever_is_reported(bench):
    graph = bench.run(study(["lareqa", "mewslix"]), "evaluate")
    searches = {stage.name for stage in graph if stage.kind == "search"}
    assert searches == {
        f"search[{part} | none | seed 1]"
        for part in ("lareqa", "lareqa | en dev", "mewslix", "mewslix | en dev")
    }  # fmt: skip
    found = pq.read_table(bench.artifact("search[lareqa | none | seed 1]") / "ranked.parquet")
    assert sorted(set(found["language"].to_pylist())) == LANGUAGES
    assert {name for row in found["candidate_languages"].to_pylist() for name in row} == set(LANGUAGES)
    # Each question of a language that is reported has a right candidate in each of the four.
    rows = pq.read_table(bench.artifact("evaluate[lareqa | qaa | none | seed 1]") / "predictions.parquet")
    ids = rows["id"].to_pylist()
    assert ids and ids == [row["id"] for row in found.to_pylist() if row["language"] == "qaa"]
    assert {len(row["right_ranks"]) for row in found.to_pylist()} == {len(LANGUAGES)}
    # The dev pool is English alone.
    dev = pq.read_table(bench.artifact("search[lareqa | en dev | none | seed 1]") / "ranked.parquet")
    assert {name for row in dev["candidate_languages"].to_pylist() for name in row} == {"en"}


def test_the_model_that_embeds_is_a_stated_option():
    graph = build(study(["tatoeba"])).graph
    assert not [stage for stage in graph if stage.kind == "target"]
    graph = build(study(["tatoeba"], tatoeba={"model_of": "xquad", "layer": 1})).graph
    stage = graph["evaluate[tatoeba | qaa | none | seed 1]"]
    assert stage.inputs["model"] == Output(stage="target[xquad | none | seed 1]")
    # The model's digest says which it is; the parameters hold what else there is.
    assert stage.params["recipe"] == {"pooling": "mean", "layer": 1}
    with pytest.raises(UserError, match="no target task 'xqad' that is trained"):
        build(study(["tatoeba"], tatoeba={"model_of": "xqad"}))


def test_all_target_tasks_evaluate_and_agree_with_duckdb(bench):
    catalogue = load_catalogue()
    tasks = sorted(catalogue.tasks)
    assert len(tasks) == 14
    graph = bench.run(study(tasks), "evaluate")
    evaluated = [stage for stage in graph if stage.kind == "evaluate" and stage.params["split"] == "test"]
    assert {stage.params["task"] for stage in evaluated} == set(tasks)
    for stage in evaluated:
        family = FAMILY[catalogue.dataset(stage.params["dataset"]).format]
        columns = FAMILIES[family].columns
        listed = ", ".join(f"sum({name})::double" for name in columns)
        file = bench.artifact(stage.name) / "predictions.parquet"
        query = f"SELECT {listed}, count({columns[0]})::double FROM '{file}'"
        row = duckdb.connect().execute(query).fetchone()
        found = scores(bench, stage.name)
        for name, value in values(family, dict(zip([*columns, "n"], row, strict=True))).items():
            assert found["metrics"][name] == pytest.approx(float(value), abs=1e-9), (stage.name, name)
        assert found["primary"] == stage.params["metric"] and found["n"] == row[-1] > 0
