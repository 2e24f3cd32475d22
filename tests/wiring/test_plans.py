"""Plans: without data, with the condition table, with warnings and an estimate."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.wiring.small_studies import mixture, small
from xtreme_dag.core.home import Home
from xtreme_dag.engine.plan import Planner
from xtreme_dag.engine.store import Store
from xtreme_dag.program.commands.plan import command as plan_command
from xtreme_dag.program.commands.run import command as run_command
from xtreme_dag.study import conditions
from xtreme_dag.study.factors import differences
from xtreme_dag.study.file import load_study
from xtreme_dag.wiring.build import build
from xtreme_dag.wiring.forecast.caveats import _toy_recipe, lost_lines, warnings
from xtreme_dag.wiring.forecast.composition import Part, Row, condition_table
from xtreme_dag.wiring.forecast.costs import RATE, cost, utilisation
from xtreme_dag.wiring.forecast.disk import disk
from xtreme_dag.wiring.forecast.sizes import Sizes

EN = {"dataset": "xnli", "languages": ["en"]}
MIXED = {"dataset": "xnli", "languages": ["en", "qaa"]}
FULL = ["phang2020", "mixed_vs_english", "mixed_native", "source_language", "parallel_intermediate"]


def looked_at(study, home: Path):
    built = build(study)
    home = Home(home)
    plan = Planner(home, study.study).plan(built.graph)
    sizes = Sizes(built.graph, plan, Store(home.store))
    return built.graph, plan, sizes, condition_table(study, built.graph, sizes)


@pytest.mark.parametrize("name", FULL)
def test_full_studies_are_planned_without_their_data(name, repository, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = str(repository / "studies" / f"{name}.yaml")
    done = CliRunner().invoke(plan_command, [file, "--json", "--home", str(tmp_path / "home")])
    assert done.exit_code == 0, done.output
    plan = json.loads(done.output)
    missing = [stage for stage in plan["stages"] if "missing: " in "".join(stage["reasons"])]
    assert {stage["name"] for stage in missing} == set(plan["missing"]) and len(missing) > 40
    assert all(stage["status"] == "new" for stage in plan["stages"])
    assert any("to get it" in stage["reasons"][0] for stage in missing)
    assert "pretrain[FacebookAI/xlm-roberta-large]" in plan["missing"]
    assert plan["cost"]["hours"] > 1
    # A trained XLM-R Large has 559 million parameters of four bytes.
    one, trained = 2.236e9, plan["disk"]["models"]
    assert plan["disk"]["model_bytes"] == pytest.approx(trained * one, rel=0.01)
    if name in (known := {"phang2020": 267e9, "mixed_vs_english": 806e9}):
        assert plan["disk"]["model_bytes"] == pytest.approx(known[name], rel=0.01)
    assert {row["condition"] for row in plan["conditions"]} == set(load_study(Path(file)).intermediate)
    text = CliRunner().invoke(plan_command, [file, "--home", str(tmp_path / "home")]).output
    datasets = {name.removeprefix("prepare[").partition(" | ")[0] for name in plan["missing"] if "prepare" in name}
    for what in (*(f"{name} " for name in datasets), "model FacebookAI/xlm-roberta-large: "):
        assert text.count(f"\nmissing: {what}") == 1, what
    assert f"\n{len(plan['stages'])} stages: {len(plan['stages'])} new\n" in text and " GPU hours on one H100 " in text
    assert not (tmp_path / "home").exists()
    refused = CliRunner().invoke(run_command, [file, "--home", str(tmp_path / "home")])
    assert str(refused.exception).startswith(
        "data.folder: no folder 'xtreme_data'\n  name it with --set data.folder=PATH"
    )
    assert not (tmp_path / "home" / "store").exists()


@pytest.mark.parametrize("name", [f"{twin}_{name}" for twin in ("mini", "real") for name in FULL])
def test_twins_are_planned_and_have_the_conditions_of_the_full_study(name, repository, shared, monkeypatch):
    monkeypatch.chdir(repository)
    twin = load_study(repository / "studies" / f"{name}.yaml")
    full = load_study(repository / "studies" / f"{name.partition('_')[2]}.yaml")
    built = build(twin)
    assert not built.absent and len(built.graph) > 50
    if "mixed" in name or "parallel" in name:
        assert set(full.intermediate) - set(twin.intermediate) <= {"mixed4_translated"}
        assert set(twin.intermediate) <= set(full.intermediate)
    else:
        assert len(twin.intermediate) >= 4


def test_the_table_foresees_what_training_draws(bench):
    conditions = {
        "english": mixture(EN),
        "mixed": mixture(MIXED),
        "multi": mixture(EN, {"dataset": "qqp"}, sampling={"rule": "proportional", "cap": 30}),
        "steps": mixture(EN, budget={"steps": 3}, recipe={"batch_size": 8}),
        "chain": mixture(EN, then=[mixture({"dataset": "copa"}, budget=20)]),
        "none": None,
    }
    study = small(conditions)
    before = {row.name: row for row in looked_at(study, bench.home.root / "elsewhere")[3]}
    bench.run(study, "intermediate")
    after = {row.name: row for row in looked_at(study, bench.home.root)[3]}
    for name in conditions:
        assert not before[name].parts or not before[name].counted
        assert after[name].counted
        assert before[name].steps == after[name].steps
        assert before[name].examples == after[name].examples
        seen = [(part.step, part.task, part.language, part.examples) for part in before[name].parts]
        assert seen == [(part.step, part.task, part.language, part.examples) for part in after[name].parts]
    assert after["english"].examples == 40 and after["none"].examples == 0
    drawn = bench.report("intermediate[mixed | seed 1]")["composition"]
    assert after["mixed"].per_language() == {part["language"]: part["tokens"] for part in drawn}


@pytest.mark.parametrize(
    ("condition", "factors"),
    [
        (mixture(EN), []),
        (None, ["intermediate training"]),
        (mixture(MIXED), ["languages"]),
        (mixture(EN, control="shuffled_labels"), ["control"]),
        (mixture(EN, items="parallel"), []),
        (mixture(MIXED, budget=30), ["languages", "budget"]),
        (mixture({"dataset": "qqp"}), ["tasks"]),
        (mixture({**EN, "share": 0.5}, {"dataset": "plain_text", "languages": ["qaa"], "objective": "mlm", "share": 0.5}), ["tasks"]),
        (mixture({"dataset": "plain_text", "languages": ["qaa"], "objective": "mlm"}), ["tasks", "languages"]),
        (mixture({"dataset": "plain_text", "objective": "mlm"}), ["tasks"]),
        (mixture(EN, source_language="qaa"), ["source language of the target task"]),
        (mixture(EN, recipe={"epochs": 3}), ["recipe"]),
        (mixture(EN, then=[mixture(EN)]), ["number of training steps in the chain"]),
    ],
)  # fmt: skip
def test_factors_in_which_conditions_differ(condition, factors):
    study = small({"baseline": mixture(EN), "other": condition})
    found = differences(study, study.intermediate["other"], study.intermediate["baseline"])
    assert list(found) == factors


def test_a_new_option_is_a_factor_by_itself():
    class Component(conditions.Component):
        noisy_words: float = 0.0

    class Condition(conditions.Condition):
        mixture: tuple[Component, ...] = ()
        easy_first: bool = False

    plain, other = ({"mixture": [EN], "budget": {"examples": 40}} for _ in range(2))
    other = {**other, "mixture": [{**EN, "noisy_words": 0.1}], "easy_first": True}
    found = differences(small({"a": {}}), Condition(**other), Condition(**plain))
    assert found == ("easy first", "noisy words")


def test_translated_and_released_data_differ_in_their_origin():
    other = {"dataset": "xnli", "languages": ["qaa"], "translated": "lexicon", "share": 0.5, "task": "xnli"}
    study = small({"released": mixture(MIXED), "translated": mixture({**EN, "share": 0.5}, other)})
    both = study.intermediate
    assert differences(study, both["translated"], both["released"]) == ("origin of the data",)


def test_warnings_name_more_than_one_factor_and_too_little_data(bench):
    study = small({"english": mixture(EN), "other": mixture(MIXED, budget=30)})
    bench.run(study, "encode")
    rows = looked_at(study, bench.home.root)[3]
    assert warnings(study, rows) == ["other and english (the baseline) differ in 2 factors: languages, budget"]
    greedy = small({"english": mixture(EN, budget=90)})
    found = warnings(greedy, looked_at(greedy, bench.home.root)[3])
    assert len(found) == 1 and "asked for 90 examples and has 80" in found[0]


def test_warnings_name_conditions_that_are_one_factor_apart(bench):
    other = {"dataset": "xnli", "languages": ["qaa"], "translated": "lexicon", "share": 0.5, "task": "xnli"}
    conditions = {
        "english": mixture(EN),
        "mixed": mixture(MIXED),
        "made": mixture({**EN, "share": 0.5}, other),
        "none": None,
        "text": mixture({"dataset": "plain_text", "objective": "mlm"}),
    }
    study = small(conditions)
    rows = looked_at(study, bench.home.root / "nowhere")[3]
    assert warnings(study, rows) == [
        "made and english (the baseline) differ in 2 factors: languages, origin of the data; "
        "in one from mixed (origin of the data)"
    ]


def test_different_items_are_counted_over_all_languages(bench):
    """Each language has 80 pairs, and they are the same 80."""
    conditions = {
        "english": mixture(EN, budget=80),
        "disjoint": mixture(MIXED, budget=100),
        "parallel": mixture(MIXED, budget=100, items="parallel"),
        "repeated": mixture(MIXED, budget=100, repeat=True),
    }
    study = small(conditions)
    found = warnings(study, looked_at(study, bench.home.root / "nowhere")[3])
    assert [line for line in found if "factors" not in line] == [
        "disjoint: xnli is asked for 100 different items and has 80; lower the budget, or set items: parallel or repeat: true"
    ]
    with pytest.raises(AssertionError, match="items: parallel"):
        bench.run(small({"disjoint": conditions["disjoint"]}), "intermediate")


def test_a_budget_beyond_published_sizes_is_pointed_out_without_data(repository, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = str(repository / "studies" / "mixed_vs_english.yaml")
    more = ["--set", "intermediate.english.budget.examples=400000", "--home", str(tmp_path / "home")]
    done = CliRunner().invoke(plan_command, [file, *more])
    assert "english: xnli/en is asked for 400,000 examples and has 392,702" in done.output


SLOW = {"learning_rate": 1e-5}


@pytest.mark.parametrize(
    ("recipe", "own", "said"),
    [
        ({}, {}, "target and intermediate training"),
        ({"target": {"default": SLOW}}, {}, "intermediate training"),
        ({"target": {"xnli": SLOW}}, SLOW, None),
        ({"target": {"grid": {"learning_rate": [1e-5, 2e-5]}}, "intermediate": {"default": SLOW}}, {}, None),
        ({"name": "xtreme"}, {}, None),
    ],
)
def test_a_recipe_for_toys_is_named_where_the_encoder_is_none(recipe, own, said):
    conditions = {"none": None, "english": mixture(EN, recipe=own) if own else mixture(EN)}
    assert not list(_toy_recipe(small(conditions, recipe=recipe)))
    found = list(_toy_recipe(small(conditions, recipe=recipe, model={"folder": "encoder"})))
    assert [line.partition(" has the")[0] for line in found] == ([f"recipe: {said}"] if said else [])


def test_losses_in_translation_are_reported_by_the_plan(bench, tiny_translator):
    by = {"by": "model", "model": {"folder": str(tiny_translator)}, "max_length": 8, "rows": 30}
    other = {"dataset": "squad_v1", "languages": ["qac"], "translated": by, "share": 0.5, "task": "squad_v1"}
    study = small({"made": mixture({"dataset": "squad_v1", "share": 0.5}, other, budget=10)})
    bench.run(study, "translate")
    graph, _, sizes, _ = looked_at(study, bench.home.root)
    made = json.loads((bench.artifact("translate[squad_v1 | qac | train | model]") / "translation.json").read_text())
    assert 0 < made["lost"] == sum(made["lost_because"].values()) and made["rows"] + made["lost"] == 30
    line, odd = lost_lines(graph, sizes)
    assert odd == (
        f"translate[squad_v1 | qac | train | model]: {made['texts_cut']} texts were cut before they were translated "
        f"(max_length), {made['translations_cut']} translations were cut (max_length), "
        f"{made['translations_empty']} translations are empty"
    )
    assert line.startswith(f"translate[squad_v1 | qac | train | model]: {made['lost']} of 30 examples lost: the ")


def test_equal_examples_of_unequal_length_are_pointed_out(bench):
    text = {"dataset": "plain_text", "objective": "mlm"}
    study = small({"english": mixture(EN), "text": mixture(text)})
    assert not warnings(study, looked_at(study, bench.home.root / "nowhere")[3])
    bench.run(study, "encode")
    rows = looked_at(study, bench.home.root)[3]
    (found,) = warnings(study, rows)
    tokens = {row.name: sum(part.tokens for part in row.parts) for row in rows}
    assert found.endswith(f"the same budget and {tokens['text']:,} against {tokens['english']:,} tokens")


def test_a_pair_of_unequal_length_is_pointed_out_where_the_baseline_trains_on_nothing():
    conditions = {"none": None, "english": mixture(EN), "mixed": mixture(MIXED), "qqp": mixture({"dataset": "qqp"})}
    rows = []
    for name, tokens in {"none": [], "english": [400], "mixed": [250, 260], "qqp": [900]}.items():
        parts = tuple(
            Part(step=1, task=name, dataset=name, language="en", examples=40, tokens=count) for count in tokens
        )
        rows.append(Row(name=name, parts=parts, examples=40, steps=2, source="en", counted=True, differs=()))
    expected = ["mixed and english have the same budget and 510 against 400 tokens"]
    assert warnings(small(conditions), tuple(rows)) == expected
    rows[2] = replace(rows[2], counted=False)
    assert not warnings(small(conditions), tuple(rows))


def test_the_estimate_is_the_stated_arithmetic(bench):
    study = small({"english": mixture(EN)}, targets=["xnli"])
    graph, plan, sizes, rows = looked_at(study, bench.home.root / "nowhere")
    estimate = cost(study, graph, plan, sizes, rows)
    # 40 examples and 80 of the target, one pass each; two languages of 8 test rows, 12 English dev rows; half of 128 tokens each.
    assert estimate.training_tokens == (40 + 80) * 64 and estimate.reading_tokens == (2 * 8 + 12) * 64
    assert estimate.parameters == 2 * 12 * 128 * 128 and estimate.left_out == 0
    assert estimate.translations == 0 and "left out" not in estimate.in_words()
    # Steps have 32 examples; evaluation counts as the largest step that was measured.
    work = 6 * estimate.training_tokens / utilisation(32 * 64) + 2 * estimate.reading_tokens / 0.30
    assert estimate.hours == pytest.approx(estimate.parameters * work / RATE / 3600)
    assert 0.13 < estimate.utilisation < 0.18


def test_the_utilisation_is_the_measured_one_of_the_page(repository):
    page = (repository / "docs" / "training.md").read_text()
    for (mean, batch), share in {(39, 32): 13, (167, 32): 28, (39, 256): 30}.items():
        assert re.search(rf"mean {mean} \| {batch} \|.*\| {share} % \|", page)
        assert utilisation(mean * batch) == pytest.approx(share / 100)
    assert (
        utilisation(1) == utilisation(39 * 32) < utilisation(3_000) < utilisation(167 * 32) < utilisation(10**6) == 0.3
    )


def test_the_plan_says_what_is_left_on_the_disk_and_how_to_need_less(bench, tmp_path):
    def left(**more):
        study = small({"english": mixture(EN)}, targets=["xnli"], **more)
        graph, plan, sizes, _rows = looked_at(study, bench.home.root / "nowhere")
        return replace(disk(study, graph, plan, sizes, bench.home), free=10**6, training=4 * 10**9)

    recipe = {"learning_rate": 1e-3, "steps": 2}
    text = {"xnli": {"train": ["en"]}}
    model = {"pretrain": {"kind": "text", "seed": 1, "vocabulary_size": 1000, "text": text, "recipe": recipe}}
    whole = left(model=model)
    parameters = 2 * 12 * 128 * 128 + (1000 + 514) * 128
    assert (whole.models, whole.targets, whole.model_bytes) == (3, 1, 3 * 4 * parameters)
    assert whole.left == whole.model_bytes + whole.table_bytes and whole.table_bytes > 0
    scores = left(model=model, keep="scores")
    assert whole.left - scores.left == 4 * parameters
    half = left(model=model, recipe={"name": "quick", "target": {"default": {"storage": "bf16"}}})
    assert half.model_bytes == 10 * parameters
    text = "\n".join(whole.lines())
    assert "(3 models, " in text and "more than is free; to need less: `keep: scores` drops" in text and "bf16" in text
    assert "`keep: scores`" not in "\n".join(scores.lines()) and "1 more go once" in "\n".join(scores.lines())
    assert not [line for line in replace(whole, free=10**12).lines() if "warning" in line]


def test_the_estimate_counts_shared_work_once(bench):
    """The first link of a chain is another condition's training; two source languages share the intermediate training."""
    link = mixture({"dataset": "qqp"})
    alone = small({"one": link}, targets=["xnli"])
    chain = small({"one": link, "chain": {**link, "then": [mixture(EN)]}}, targets=["xnli"])
    sources = small({"one": link, "qaa": {**link, "source_language": "qaa"}}, targets=["xnli"])
    tokens = []
    for study in (alone, chain, sources):
        graph, plan, sizes, rows = looked_at(study, bench.home.root / "nowhere")
        tokens.append(cost(study, graph, plan, sizes, rows).training_tokens)
    # Each adds a target training of 80 examples; the chain its second link of 40.
    assert [more - tokens[0] for more in tokens[1:]] == [(80 + 40) * 64, 80 * 64]
