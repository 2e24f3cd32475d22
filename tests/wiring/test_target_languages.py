"""Target training in further languages: few examples of them, or the training data whole."""

import pytest

from tests.wiring.small_studies import ids_by_language, small
from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.plan import Planner
from xtreme_dag.engine.store import Store
from xtreme_dag.study.factors import differences
from xtreme_dag.tables.encoded import open_encoded
from xtreme_dag.wiring.build import build
from xtreme_dag.wiring.forecast.caveats import too_few_lines
from xtreme_dag.wiring.forecast.sizes import Sizes
from xtreme_dag.wiring.supervision import by_condition

ALL = ["en", "qaa", "qac", "qag"]
FEW = {f"few{k}": {"target": {"examples": {"qaa": k, "qac": k}}} for k in (3, 12)}


def few(**more):
    return small({"none": None, **FEW}, **{"languages": ALL, **more})


def shots(bench, graph, condition, seed, code, task="xnli"):
    """The ids of a training's examples in a language."""
    inputs = graph[f"target[{task} | {condition} | seed {seed}]"].inputs
    (found,) = [source.stage for name, source in inputs.items() if name.startswith("train/") and name.endswith(code)]
    return set(open_encoded(bench.artifact(found)).example_ids)


@pytest.mark.parametrize("same", [False, True])
def test_draws_nest_and_are_drawn_for_each_seed_unless_the_recipe_says_once(bench, same):
    recipe = {"name": "quick", "target": {"default": {"epochs": 1, **({"same_examples": True} if same else {})}}}
    study = few(seeds=[1, 2], recipe=recipe)
    bench.run(study, "encode")
    graph = build(study).graph
    drawn = {(k, seed, code): shots(bench, graph, f"few{k}", seed, code)
             for k in (3, 12) for seed in (1, 2) for code in ("qaa", "qac")}  # fmt: skip
    for (k, seed, code), ids in drawn.items():
        assert len(ids) == k and drawn[3, seed, code] <= ids
    assert (drawn[12, 1, "qaa"] == drawn[12, 2, "qaa"]) == same


@pytest.mark.parametrize("task", ["xnli", "udpos", "xquad"])
def test_they_are_trained_on_beside_the_source_language(bench, task):
    study = few(targets=[task])
    bench.run(study, "target")
    rows = {name: ids_by_language(bench.drawn(f"target[{task} | {name} | seed 1]")) for name in study.intermediate}
    assert {name: {code: len(ids) for code, ids in found.items()} for name, found in rows.items()} == {
        "none": {"en": 80}, "few3": {"en": 80, "qaa": 3, "qac": 3}, "few12": {"en": 80, "qaa": 12, "qac": 12},
    }  # fmt: skip


def test_few_examples_are_no_translations_of_the_few_in_the_source_language(bench):
    recipe = {"name": "quick", "target": {"default": {"epochs": 1, "examples": 12}}}
    bench.run(few(recipe=recipe), "target")
    found = ids_by_language(bench.drawn("target[xnli | few12 | seed 1]"))
    assert len(found["en"]) == len(found["qaa"]) == 12 and found["en"] != found["qaa"]


def test_whole_training_data_in_further_languages_are_the_same_items(bench):
    added = {"languages": ["qaa", "qac"]}
    conditions = {"native": {"target": added}, "made": {"target": {**added, "translated": "lexicon"}}}
    recipe = {"name": "quick", "target": {"default": {"epochs": 1, "examples": 20}}}
    study = small({"none": None, **conditions}, recipe=recipe)
    graph = bench.run(study, "target")
    for name in conditions:
        found = ids_by_language(bench.drawn(f"target[xnli | {name} | seed 1]"))
        assert len(found["en"]) == 20 and found["en"] == found["qaa"] == found["qac"]
    assert "translate[mnli | qac | train | lexicon]" in graph


def test_these_languages_are_seen_and_the_others_are_not():
    conditions = {**FEW, "whole": {"target": {"languages": ["qag"], "translated": "lexicon"}}}
    found = by_condition(build(small({"none": None, **conditions}, languages=ALL, targets=["xnli", "tatoeba"])).graph)
    words = {name: [tasks["xnli"][code] for code in ALL] for name, tasks in found.items()}
    assert words == {
        "none": ["source", "none", "none", "none"],
        "few3": ["source", "same task", "same task", "none"],
        "few12": ["source", "same task", "same task", "none"],
        "whole": ["source", "none", "none", "same task"],
    }
    assert set(found["few12"]["tatoeba"].values()) == {"none"}


def test_training_waits_for_the_audit_of_the_examples():
    graph = build(few()).graph
    stage = graph["target[xnli | few3 | seed 1]"]
    assert {"audit[mnli | qaa | train]", "audit[mnli | qac | train]"} <= set(stage.after)
    tested = {
        f"{one['dataset']}/{one['language']}/{one['split']}"
        for one in graph["audit[mnli | qaa | train]"].params["tested"]
    }
    assert {f"xnli/{code}/test" for code in ALL} <= tested


def test_a_dev_split_gives_them_where_it_is_named_and_a_test_split_never():
    def named(split, task="xnli"):
        return build(few(targets={task: {"examples": {"dataset": task, "split": split}}}))

    built = named("dev")
    assert built.notes == ("xnli: target-language examples (qaa qac) are from xnli dev",)
    assert built.graph["target[xnli | few3 | seed 1]"].inputs["train/xnli/qaa"].stage == "encode[xnli | qaa | dev | 3 examples | seed 1 | apart]"  # fmt: skip
    with pytest.raises(UserError, match="xnli test is for test, not for train or select"):
        named("test")


def test_dev_examples_that_translate_what_is_selected_on_are_a_leak(bench, shared):
    study = small(
        {"none": None, "few": {"target": {"examples": {"de": 10}}}}, languages=["en", "de"],
        data={"folder": str(shared / "data"), "contracts": False},
        targets={"xnli": {"train": {"dataset": "xnli", "split": "train"}, "examples": {"dataset": "xnli", "split": "dev"}}},
    )  # fmt: skip
    graph = build(study).graph
    outcomes = bench.outcomes(study, graph.part({"audit[xnli | en | train]", "audit[xnli | de | dev]"}))
    assert outcomes["audit[xnli | en | train]"] == "succeeded" and outcomes["audit[xnli | de | dev]"] == "failed"
    verdict = (bench.artifact("audit[xnli | de | dev]") / "verdict.json").read_text()
    assert "1,245 of 1,245 examples of xnli/en/dev" in verdict and "allow_overlap" in verdict


def test_a_task_without_examples_stays_zero_shot():
    graph = build(few(targets={"xnli": {}, "pawsx": {"examples": "none"}})).graph
    assert not [name for name in graph["target[pawsx | few3 | seed 1]"].inputs if name.startswith("train/")]
    assert [name for name in graph["target[xnli | few3 | seed 1]"].inputs if name.startswith("train/")]


def test_more_than_there_are_is_refused(bench):
    study = small({"none": None, "few": {"target": {"examples": {"qaa": 81}}}})
    graph = build(study).graph
    sizes = Sizes(graph, Planner(bench.home, "small").plan(graph), Store(bench.home.store))
    assert list(too_few_lines(graph, sizes)) == [
        "few: xnli is asked for 81 target-language examples of mnli/qaa and has 80; lower target.examples"
    ]
    outcomes = bench.outcomes(study, graph.part({"target[xnli | few | seed 1]"}))
    assert outcomes["target[xnli | few | seed 1]"] == "failed"


def test_a_language_without_any_is_refused(shared):
    study = small({"none": None, "few": {"target": {"examples": {"de": 10}}}}, targets=["xquad"], languages=["en", "de"],
                  data={"folder": str(shared / "data"), "contracts": False})  # fmt: skip
    with pytest.raises(UserError, match="xquad has no examples in 'de' for training") as caught:
        build(study)
    assert "targets.xquad.examples" in caught.value.fix


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({}, "names nothing"),
        ({"examples": {"en": 5}}, "source language"),
        ({"examples": {"qaa": 0}}, "not positive"),
        ({"examples": {"qaa": 5}, "languages": ["qaa"]}, "named twice"),
        ({"languages": ["qaa", "qaa"]}, "named twice"),
        ({"examples": {"qaa": 5}, "translated": "lexicon"}, "`translated` makes"),
    ],
)
def test_mistakes_are_named(target, said):
    with pytest.raises(UserError) as caught:
        small({"none": None, "wrong": {"target": target}})
    assert said in str(caught.value)


def test_each_is_a_factor_of_its_own():
    conditions = {**FEW, "whole": {"target": {"languages": ["qaa"]}}, "tests": {"test_translated": "lexicon"}}
    study = small({"none": None, **conditions})
    found = {name: differences(study, body, study.intermediate["none"]) for name, body in study.intermediate.items()}
    assert found == {
        "none": (), "few3": ("target-language examples",), "few12": ("target-language examples",),
        "whole": ("further languages of target training",), "tests": ("translated tests",),
    }  # fmt: skip
    assert differences(study, study.intermediate["few3"], study.intermediate["few12"]) == ("target-language examples",)
