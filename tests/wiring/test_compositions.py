"""What each kind of condition trains on, read from the artifacts of training and not from the study."""

import json
from collections import defaultdict

import pytest

from tests.wiring.small_studies import LANGUAGES, ids_by_language, mixture, small
from xtreme_dag.study.file import load_study
from xtreme_dag.tables.encoded import open_encoded
from xtreme_dag.wiring.build import build

EN = {"dataset": "xnli", "languages": ["en"]}
MIXED = {"dataset": "xnli", "languages": ["en", "qaa"]}
NINE = ["anli_plus", "mnli", "qqp", "squad_v2", "squad_v1", "hellaswag", "ccg", "cosmosqa", "commonsenseqa"]


def trained(name: str) -> str:
    return f"intermediate[{name} | seed 1]"


def test_the_english_half_of_a_mix_is_a_subset_of_english_alone(bench):
    bench.run(small({"english": mixture(EN), "mixed": mixture(MIXED)}), "intermediate")
    english, mixed = bench.drawn(trained("english")), bench.drawn(trained("mixed"))
    assert len(english) == len(mixed) == 40
    halves = ids_by_language(mixed)
    assert {code: len(ids) for code, ids in halves.items()} == {"en": 20, "qaa": 20}
    assert halves["en"] < ids_by_language(english)["en"]
    # Nested in order too: the first twenty of what English alone draws.
    assert [row["id"] for row in mixed if row["language"] == "en"] == [row["id"] for row in english][:20]
    assert not halves["en"] & halves["qaa"]
    assert bench.report(trained("mixed"))["shared_items"] == 0
    assert bench.report(trained("english"))["steps"] == bench.report(trained("mixed"))["steps"]


def test_parallel_items_are_the_same_in_every_language(bench):
    bench.run(small({"parallel": mixture(MIXED, items="parallel")}), "intermediate")
    halves = ids_by_language(bench.drawn(trained("parallel")))
    assert halves["en"] == halves["qaa"] and len(halves["en"]) == 20
    assert bench.report(trained("parallel"))["shared_items"] == 20


@pytest.mark.parametrize("same", [False, True])
def test_few_examples_are_drawn_for_each_seed_unless_the_recipe_says_once(bench, same):
    few = {"examples": 5, **({"same_examples": True} if same else {})}
    recipe = {"name": "quick", "target": {"xnli": few}}
    study = small({"none": None, "english": mixture(EN)}, seeds=[1, 2], targets=["xnli"], recipe=recipe)
    graph = bench.run(study, "encode")
    few_of = {
        (stage.labels["condition"], stage.labels["seed"]): stage.inputs["train"].stage
        for stage in build(study).graph
        if stage.kind == "target"
    }
    drawn = {cell: frozenset(open_encoded(bench.artifact(name)).example_ids) for cell, name in few_of.items()}
    assert {len(ids) for ids in drawn.values()} == {5} and all(name in graph for name in few_of.values())
    for seed in (1, 2):
        assert drawn["none", seed] == drawn["english", seed], "conditions differ in what they know, not in luck"
    assert (drawn["none", 1] == drawn["none", 2]) == same


def test_stated_shares_of_languages(bench):
    shares = {"dataset": "xnli", "languages": {"en": 0.5, "qaa": 0.3, "qac": 0.2}}
    bench.run(small({"shares": mixture(shares)}), "intermediate")
    assert bench.counts(trained("shares")) == {
        ("xnli", "xnli", "en"): 20,
        ("xnli", "xnli", "qaa"): 12,
        ("xnli", "xnli", "qac"): 8,
    }


def test_all_nine_tasks_at_once_in_proportion_to_capped_sizes(bench):
    limits = {"miniworld": {"languages": ["en", "qaa"], "train": 80, "select": 12, "test": 8}, "contracts": False,
              "limit": {"datasets": {"ccg": {"train": 20}, "commonsenseqa": {"train": 40}}}}  # fmt: skip
    parts = [{"dataset": name} for name in NINE]
    condition = mixture(*parts, budget=84, sampling={"rule": "proportional", "cap": 40})
    bench.run(small({"multi": condition}, data=limits), "intermediate")
    found = bench.counts(trained("multi"))
    # ANLI+ joins three tables. Sizes count 40 at most, CCG has 20: a budget of 84 over 340.
    assert sum(found.values()) == 84
    assert {name for name, _, _ in found} == set(NINE)
    for (name, _, _), count in found.items():
        assert abs(count - 84 * (20 if name == "ccg" else 40) / 340) < 1
    heads = json.loads((bench.artifact(trained("multi")) / "heads.json").read_text())
    assert set(heads) == set(NINE)
    assert heads["squad_v2"]["kind"] == "span" and len(heads["ccg"]["labels"]) > 3


def test_masked_language_modelling_beside_a_task(bench):
    text = {"dataset": "plain_text", "languages": ["en", "qaa", "qac"], "share": 0.25, "objective": "mlm"}
    bench.run(small({"with_mlm": mixture({**EN, "share": 0.75}, text)}), "intermediate")
    found = bench.counts(trained("with_mlm"))
    assert found["xnli", "xnli", "en"] == 30
    assert sum(count for (task, _, _), count in found.items() if task == "mlm") == 10
    assert bench.report(trained("with_mlm"))["heads_from"] == {"xnli": "fresh", "mlm": "mlm"}


def test_each_of_the_nine_tasks_alone(bench):
    alone = {name: mixture({"dataset": name}, budget=16) for name in NINE}
    several = mixture(*({"dataset": name} for name in NINE), budget=72, sampling={"rule": "uniform"})
    bench.run(small({**alone, "together": several}, baseline="mnli"), "intermediate")
    heads = {"squad_v1": "span", "squad_v2": "span", "ccg": "tagging", "hellaswag": "multiple_choice",
             "cosmosqa": "multiple_choice", "commonsenseqa": "multiple_choice"}  # fmt: skip
    together = defaultdict(list)
    for row in bench.drawn(trained("together")):
        together[row["task"]].append(row["id"])
    for name in NINE:
        assert bench.counts(trained(name)) == {(name, name, "en"): 16}
        made = json.loads((bench.artifact(trained(name)) / "heads.json").read_text())
        assert {head: entry["kind"] for head, entry in made.items()} == {name: heads.get(name, "classification")}
        # A task draws beside others what it draws alone, as far as its share goes.
        assert together[name] == [row["id"] for row in bench.drawn(trained(name))][:8]


def test_native_data_by_temperature_cap_and_shares(bench):
    """TyDiQA, parts of speech, names and XCOPA in several languages, and their English halves."""
    limits = {"miniworld": {"languages": LANGUAGES, "train": 80, "select": 12, "test": 8}, "contracts": False,
              "limit": {"datasets": {"tydiqa": {"train": 40}}}}  # fmt: skip
    several = ["en", "qaa", "qac"]
    names = {"en": 0.4, "qaa": 0.3, "qac": 0.3}
    copa = {"dataset": "copa", "share": 0.5, "task": "copa"}
    xcopa = {"dataset": "xcopa", "split": "dev", "languages": ["qaa", "qac"], "share": 0.5, "task": "copa"}
    conditions = {
        "english": mixture({"dataset": "tydiqa"}, budget=20),
        "warm": mixture({"dataset": "tydiqa", "languages": several, "sampling": {"rule": "temperature", "temperature": 3}}, budget=20),
        "capped": mixture({"dataset": "udpos", "languages": several, "sampling": {"rule": "proportional", "cap": 25}}, budget="all"),
        "names": mixture({"dataset": "panx", "languages": names}, budget=20),
        "choice": mixture({"dataset": "socialiqa"}, budget=20, then=[mixture(copa, xcopa, budget=20, keep_heads=True)]),
    }  # fmt: skip
    bench.run(small(conditions, data=limits), "intermediate")
    assert [bench.counts(trained("warm"))["tydiqa", "tydiqa", code] for code in several] == [7, 7, 6]
    english = [row["id"] for row in bench.drawn(trained("english"))]
    assert [row["id"] for row in bench.drawn(trained("warm")) if row["language"] == "en"] == english[:7]
    assert bench.counts(trained("capped")) == {("udpos", "udpos", code): 25 for code in several}
    assert bench.counts(trained("names")) == {("panx", "panx", code): round(20 * names[code]) for code in several}
    last = "intermediate[choice > 2 | seed 1]"
    assert bench.counts(last) == {("copa", "copa", "en"): 10, ("copa", "xcopa", "qaa"): 5, ("copa", "xcopa", "qac"): 5}
    assert bench.report(last)["heads_from"] == {"copa": "socialiqa"}


def test_a_sequence_to_sequence_model_translates_real_pairs(bench, shared, tiny_translator):
    """The released data of a folder, half of them through a model: which has no idea, but the path is that of a good one."""
    by = {"by": "model", "models": {"de": {"folder": str(tiny_translator)}}, "max_length": 8, "rows": 40}
    made = {"dataset": "xnli", "languages": ["de"], "translated": by, "share": 0.5, "task": "xnli"}
    data = {"folder": str(shared / "data"), "contracts": False, "limit": {"train": 60, "select": 8, "test": 8}}
    condition = mixture({**EN, "share": 0.5}, made, budget=20)
    bench.run(small({"made": condition}, data=data, languages=["en", "de"]), "intermediate")
    assert bench.counts(trained("made")) == {("xnli", "xnli", "en"): 10, ("xnli", "xnli.translated", "de"): 10}
    assert bench.report(trained("made"))["shared_items"] == 0
    english = {row["id"]: row["label"] for row in bench.rows("prepare[xnli | en | train]")}
    german = {row["id"]: row["label"] for row in bench.rows("translate[xnli | de | train | model]")}
    assert len(german) == 40 and german.items() <= english.items()


@pytest.mark.parametrize("mixing", ["step", "within"])
def test_one_task_a_step_or_tasks_mixed_within(bench, mixing):
    both = [{**EN, "share": 0.5}, {"dataset": "qqp", "share": 0.5}]
    recipe = {"batch_size": 8, "mixing": mixing}
    bench.run(small({"both": mixture(*both, budget=36, recipe=recipe)}), "intermediate")
    # 18 examples of each: three batches of each apart, five of both together.
    assert bench.report(trained("both"))["steps"] == (6 if mixing == "step" else 5)


def test_chains_and_their_heads(bench):
    first = mixture({"dataset": "socialiqa"})
    then = mixture({"dataset": "copa"}, keep_heads=True)
    bench.run(small({"chain": {**first, "then": [then]}, "single": first}), "intermediate")
    last = "intermediate[chain > 2 | seed 1]"
    assert bench.counts(last) == {("copa", "copa", "en"): 40}
    assert bench.report(last)["heads_from"] == {"copa": "socialiqa"}
    # The first link is the single condition's own training.
    assert bench.keys[trained("chain")] == bench.keys[trained("single")]


def test_social_iqa_comes_before_copa_for_xcopa(bench):
    bench.run(small({"none": None}, targets=["xcopa"]), "target")
    before, after = "target[xcopa < socialiqa | none | seed 1]", "target[xcopa | none | seed 1]"
    assert bench.report(before)["head_from"] == "fresh" and bench.report(after)["head_from"] == "socialiqa"


def test_a_target_goes_on_with_a_head_that_fits(bench):
    bench.run(small({"kept": mixture(EN, keep_head=["xnli"]), "fresh": mixture(EN)}), "target")
    assert bench.report("target[xnli | kept | seed 1]")["head_from"] == "xnli"
    assert bench.report("target[xnli | fresh | seed 1]")["head_from"] == "fresh"


def test_controls(bench):
    text = {"dataset": "plain_text", "languages": ["en"], "objective": "mlm"}
    conditions = {
        "english": mixture(EN),
        "shuffled": mixture(EN, control="shuffled_labels"),
        "random_text": mixture(text),
    }
    bench.run(small(conditions), "intermediate")
    english, shuffled = trained("english"), trained("shuffled")
    assert bench.drawn(english) == bench.drawn(shuffled)
    assert bench.report(english)["loss_digest"] != bench.report(shuffled)["loss_digest"]
    assert bench.counts(trained("random_text")) == {("mlm", "plain_text.mlm", "en"): 40}


def test_budgets_in_tokens_and_steps(bench):
    conditions = {
        "tokens": mixture(EN, budget={"tokens": 600}),
        "tokens_mixed": mixture(MIXED, budget={"tokens": 600}),
        "steps": mixture(EN, budget={"steps": 3}, recipe={"batch_size": 8}),
        "all": mixture(EN, budget="all"),
    }
    bench.run(small(conditions), "intermediate")
    for name in ("tokens", "tokens_mixed"):
        tokens = sum(part["tokens"] for part in bench.report(trained(name))["composition"])
        assert 500 < tokens <= 600
    assert bench.report(trained("steps"))["steps"] == 3
    assert sum(bench.counts(trained("all")).values()) == 80


def test_translated_data_keep_ids_and_labels(bench):
    half = {"dataset": "hellaswag", "share": 0.5}
    german = {"dataset": "hellaswag", "languages": ["qac"], "translated": "lexicon", "share": 0.5, "task": "hellaswag"}
    for items, shared in (("disjoint", 0), ("parallel", 20)):
        bench.run(small({"translated": mixture(half, german, items=items)}), "intermediate")
        found = ids_by_language(bench.drawn(trained("translated")))
        assert len(found["en"]) == len(found["qac"]) == 20
        assert len(found["en"] & found["qac"]) == shared == bench.report(trained("translated"))["shared_items"]
    english = {row["id"]: row for row in bench.rows("prepare[hellaswag | en | train]")}
    made = bench.rows("translate[hellaswag | qac | train | lexicon]")
    assert {row["id"] for row in made} == set(english)
    for row in made:
        assert row["label"] == english[row["id"]]["label"] and row["language"] == "qac"
        assert row["context"] != english[row["id"]]["context"] and any(
            "а" <= letter <= "я" for letter in row["context"]
        )


def test_response_masking_masks_the_response_and_nothing_else(bench):
    text = {"dataset": "parallel_text", "languages": ["qaa"], "objective": "response"}
    bench.run(small({"response": mixture(text, budget=10)}), "intermediate")
    table = open_encoded(bench.artifact("encode[parallel_text | qaa+en | train | response]"))
    masked, special = table.per_token("masked"), table.info["special_ids"]
    assert 0 < masked.mean() < 0.6
    assert not masked[(table.ids == special["sep"]) | (table.ids == special["cls"])].any()
    for low, high in zip(table.offsets, table.offsets[1:], strict=False):
        ones = masked[low:high].nonzero()[0]
        # One run, from behind the separators to the last token but one.
        assert len(ones) and (ones[-1] - ones[0] + 1 == len(ones)) and ones[-1] == high - low - 2


@pytest.mark.parametrize("objective", ["tlm", "tlm_chat", "monodm", "xdm"])
def test_dialogue_objectives_train(bench, objective):
    text = {"dataset": "parallel_text", "languages": ["qaa", "qac"], "objective": objective}
    bench.run(small({"text": mixture(text, budget=10)}), "intermediate")
    assert bench.counts(trained("text")) == {
        (objective, f"parallel_text.{objective}", "qaa+en"): 5,
        (objective, f"parallel_text.{objective}", "qac+en"): 5,
    }


def test_translation_language_modelling_on_a_parallel_dataset(bench):
    text = {"dataset": "xnli", "languages": ["qaa"], "objective": "tlm"}
    bench.run(small({"tlm": mixture(text, budget=10)}), "intermediate")
    pairs = {row["id"]: row for row in bench.rows("prepare[xnli | qaa | train | tlm]")}
    english = {row["id"]: row for row in bench.rows("prepare[xnli | en | train]")}
    foreign = {row["id"]: row for row in bench.rows("prepare[xnli | qaa | train]")}
    assert pairs
    for name, row in pairs.items():
        item, _, column = name.rpartition(".")
        assert (row["text"], row["english"]) == (foreign[item][column], english[item][column])


def test_target_training_in_another_language(bench):
    study = small(
        {
            "en": None,
            "qac": {"source_language": "qac"},
            "translated": {"source_language": "qac", "source_translated": "lexicon"},
        }
    )
    graph = bench.run(study, "target")
    report = {name: bench.report(f"target[xnli | {name} | seed 1]") for name in ("en", "qac", "translated")}
    assert [report[name]["composition"][0]["language"] for name in report] == ["en", "qac", "qac"]
    assert (
        graph["target[xnli | translated | seed 1]"]
        .inputs["train"]
        .stage.startswith("encode[mnli | qac | train | translated")
    )
    assert len({each["loss_digest"] for each in report.values()}) == 3


def test_selection_reads_english_dev(bench):
    recipe = {"select_every": 1, "select_examples": 6}
    bench.run(
        small({"ccg": mixture({"dataset": "ccg"}, recipe=recipe), "mixed": mixture(MIXED, recipe=recipe)}),
        "intermediate",
    )
    for name in ("ccg", "mixed"):
        assert bench.report(trained(name))["selection"]


def test_a_new_condition_runs_nothing_of_the_others(bench):
    bench.run(small({"english": mixture(EN), "mixed": mixture(MIXED)}), "evaluate")
    before = dict(bench.keys)
    bench.run(small({"english": mixture(EN), "mixed": mixture(MIXED), "qac": mixture({"dataset": "xnli", "languages": ["qac"]}, budget=30)}), "evaluate")  # fmt: skip
    assert bench.executed and all("qac" in name for name in bench.executed)
    assert {name: bench.keys[name] for name in before} == before


def test_another_condition_runs_nothing_of_those_that_are_there(bench):
    bench.run(small({"english": mixture(EN), "mixed": mixture(MIXED)}), "evaluate")
    before = dict(bench.keys)
    added = mixture({"dataset": "xnli", "languages": ["en", "qac"]}, budget=30)
    bench.run(small({"english": mixture(EN), "added": added, "mixed": mixture(MIXED)}), "evaluate")
    assert {name: bench.keys[name] for name in before} == before
    # The language that is new to this study is prepared too, unless another study of this home has done so.
    assert {"added" in name or "[xnli | qac |" in name for name in bench.executed} == {True}
    assert [name for name in bench.executed if "| added |" in name or "[added |" in name]


def test_two_studies_share_the_stages_of_a_condition(bench):
    bench.run(small({"english": mixture(EN), "mixed": mixture(MIXED)}), "evaluate")
    other = small({"another_name": mixture(EN)}, study="other", question="Another question?")
    bench.run(other, "evaluate")
    assert not bench.executed


def test_the_miniworld_twin_of_the_question_has_equal_budgets(bench, repository):
    study = load_study(repository / "studies" / "mini_mixed_vs_english.yaml", ["targets=[xnli]", "languages=[en]"])
    bench.run(study, "intermediate")
    reports = {name: bench.report(trained(name)) for name in study.intermediate if name != "none"}
    assert len(reports) == 10
    english = ids_by_language(bench.drawn(trained("english")))["en"]
    for name, report in reports.items():
        assert sum(part["examples"] for part in report["composition"]) == 120
        assert report["steps"] == 4
        if name.startswith("mixed"):
            drawn = bench.drawn(trained(name))
            assert {row["id"] for row in drawn if (row["task"], row["language"]) == ("xnli", "en")} < english
    assert reports["mixed4"]["shared_items"] == reports["mixed4_translated"]["shared_items"] == 0
    assert reports["mixed4_parallel"]["shared_items"] == 30
