"""Plans: without data, with the condition table, with warnings and an estimate."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_studies import mixture, small

from xtreme_dag.commands.plan import command as plan_command
from xtreme_dag.commands.run import command as run_command
from xtreme_dag.home import Home
from xtreme_dag.stages.build import build
from xtreme_dag.stages.conditions import condition_table, differences, warnings
from xtreme_dag.stages.costs import PEAK, cost
from xtreme_dag.stages.plan import Planner
from xtreme_dag.stages.sizes import Sizes
from xtreme_dag.stages.store import Store
from xtreme_dag.study import load_study

EN = {"dataset": "xnli", "languages": ["en"]}
MIXED = {"dataset": "xnli", "languages": ["en", "qaa"]}
FULL = ["phang2020", "mixed_vs_english", "source_language", "parallel_intermediate"]


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
    assert {row["condition"] for row in plan["conditions"]} == set(load_study(Path(file)).intermediate)
    assert not (tmp_path / "home").exists()
    refused = CliRunner().invoke(run_command, [file, "--home", str(tmp_path / "home")])
    assert refused.exit_code != 0 and refused.exception is not None
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
        (mixture(EN, source_language="qaa"), ["source language of the target task"]),
        (mixture(EN, recipe={"epochs": 3}), ["recipe"]),
        (mixture(EN, then=[mixture(EN)]), ["number of training steps in the chain"]),
    ],
)  # fmt: skip
def test_factors_in_which_conditions_differ(condition, factors):
    study = small({"baseline": mixture(EN), "other": condition})
    found = differences(study, study.intermediate["other"], study.intermediate["baseline"])
    assert list(found) == factors


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


def test_equal_examples_of_unequal_length_are_pointed_out(bench):
    text = {"dataset": "plain_text", "objective": "mlm"}
    study = small({"english": mixture(EN), "text": mixture(text)})
    assert not warnings(study, looked_at(study, bench.home.root / "nowhere")[3])
    bench.run(study, "encode")
    rows = looked_at(study, bench.home.root)[3]
    (found,) = warnings(study, rows)
    tokens = {row.name: sum(part.tokens for part in row.parts) for row in rows}
    assert found.endswith(f"the same budget and {tokens['text']:,} against {tokens['english']:,} tokens")


def test_the_estimate_is_the_stated_arithmetic(bench):
    study = small({"english": mixture(EN)}, targets=["xnli"])
    graph, plan, sizes, rows = looked_at(study, bench.home.root / "nowhere")
    estimate = cost(study, graph, plan, sizes, rows)
    # 40 examples and 80 of the target, one pass each; two languages of 8 test rows, 12 English dev rows; half of 128 tokens each.
    assert estimate.training_tokens == (40 + 80) * 64 and estimate.reading_tokens == (2 * 8 + 12) * 64
    assert estimate.parameters == 2 * 12 * 128 * 128 and estimate.left_out == 0
    operations = estimate.parameters * (6 * estimate.training_tokens + 2 * estimate.reading_tokens)
    assert estimate.hours == pytest.approx(operations / (0.4 * PEAK) / 3600)
