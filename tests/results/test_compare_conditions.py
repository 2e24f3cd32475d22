"""Comparisons of whole studies: planted truths are found, and what differs is said."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.results.compare import CONFIDENCE, RESAMPLES, compare_conditions
from xtreme_dag.results.inference import holm, mcnemar
from xtreme_dag.results.landing import land
from xtreme_dag.results.wording import headline
from xtreme_dag.study.file import Compare

PLANTED = {"none": 0.5, "same": 0.5, "better": 0.68, "worse": 0.4}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    from tests.results.synthetic_study import make_study

    home = tmp_path_factory.mktemp("compare") / "home"
    made = make_study(home, conditions=PLANTED, seeds=(1, 2, 3), n=300, splits=("test",), slope=0.05)
    land(Home(home), *made.arguments)
    return home


@pytest.fixture(scope="module")
def comparisons(planted):
    return {one.condition: one for one in compare_conditions(Home(planted), resamples=500)}


def test_planted_effects_are_found_and_a_control_is_not(comparisons):
    assert list(comparisons) == ["same", "better", "worse"]
    assert {name: one.overall.verdict for name, one in comparisons.items()} == {
        "same": "open",
        "better": "better",
        "worse": "worse",
    }
    assert all(effect.verdict != "better" for effect in comparisons["worse"].languages)
    assert [effect.verdict for effect in comparisons["better"].tasks] == ["better"] * 3


def test_effects_agree_with_the_scores(planted, comparisons):
    from xtreme_dag.results.query import reader

    with reader(Home(planted)) as connection:
        deltas = {
            (row[0], row[1], row[2]): row[3]
            for row in connection.execute("SELECT condition, task, language, delta FROM deltas").fetchall()
        }
        by_task = {
            (row[0], row[1]): row[2]
            for row in connection.execute("SELECT condition, task, delta FROM task_deltas").fetchall()
        }
    for name, one in comparisons.items():
        for effect in one.languages:
            assert effect.delta == pytest.approx(deltas[name, effect.task, effect.language], abs=1e-4)
            assert effect.delta == pytest.approx(effect.value - effect.baseline_value)
            assert effect.low < effect.delta < effect.high and effect.n == 300 and effect.seeds == 3
            assert effect.p_corrected >= effect.p
        for effect in one.tasks:
            assert effect.delta == pytest.approx(by_task[name, effect.task], abs=1e-4)
        assert one.overall.delta == pytest.approx(np.mean([effect.delta for effect in one.tasks]))


def test_mcnemar_stands_beside_accuracies_of_one_seed_only(comparisons, make, home):
    assert all(effect.mcnemar is None for effect in (*comparisons["better"].languages, *comparisons["better"].tasks))
    made = make(conditions={"none": 0.5, "mixed": 0.7}, seeds=(1,), splits=("test",), n=100)
    land(Home(home), *made.arguments)
    (one,) = compare_conditions(Home(home), resamples=200)
    assert all(effect.mcnemar is None for effect in one.tasks)
    for effect in one.languages:
        assert (effect.mcnemar is not None) == (effect.metric == "accuracy")
    right = {
        row.condition: pq.read_table(row.artifact / "predictions.parquet")["s_correct"].to_numpy() > 0
        for row in made.evaluations
        if (row.task, row.language) == ("xnli", "de")
    }
    gains, losses = ((right[a] & ~right[b]).sum() for a, b in (("mixed", "none"), ("none", "mixed")))
    exact = next(effect.mcnemar for effect in one.languages if (effect.task, effect.language) == ("xnli", "de"))
    assert exact == pytest.approx(mcnemar(int(gains), int(losses)))


def test_families_are_the_studys_conditions_and_tasks_and_languages_below_a_decided_one(comparisons):
    claims = [effect for one in comparisons.values() for effect in one.tasks]
    assert [e.p_corrected for e in claims] == pytest.approx(holm([e.p for e in claims]))
    means = [one.overall for one in comparisons.values()]
    assert [e.p_corrected for e in means] == pytest.approx(holm([e.p for e in means]))
    for one in comparisons.values():
        for claim in one.tasks:
            effects = [effect for effect in one.languages if effect.task == claim.task]
            within = holm([e.p for e in effects])
            assert [e.p_corrected for e in effects] == pytest.approx(np.maximum(within, claim.p_corrected))


@pytest.mark.parametrize(
    "options",
    [
        {"conditions": ["better"]},
        {"tasks": ["xnli"]},
        {"conditions": ["worse"], "tasks": ["udpos", "xnli"], "languages": ["sw"]},
        {"confidence": 0.99},
        {"confidence": 0.6},
    ],
)
def test_verdicts_do_not_hang_on_what_is_shown(planted, comparisons, options):
    for one in compare_conditions(Home(planted), resamples=500, **options):
        whole = {
            (e.task, e.language): e for e in (*comparisons[one.condition].tasks, *comparisons[one.condition].languages)
        }
        shown = one.languages if "languages" in options else (*one.tasks, *one.languages)
        assert shown
        for effect in shown:
            same = whole[effect.task, effect.language]
            assert (effect.p_corrected, effect.verdict) == (same.p_corrected, same.verdict)
            assert effect.detectable == same.detectable


def test_verdicts_do_not_hang_on_conditions_that_are_not_the_studys(make, home):
    options = {"tasks": {"xnli": "accuracy", "udpos": "tagging"}, "seeds": (1,), "splits": ("test",), "n": 100}
    land(Home(home), *make(name="one", conditions={"none": 0.5, "same": 0.52, "mixed": 0.56}, **options).arguments)
    other = make(name="two", conditions={"base": 0.5, "more": 0.54}, seed=1, **options)
    land(Home(home), *other.arguments)

    def judged(*conditions, tasks=None):
        found = compare_conditions(Home(home), study="one", conditions=conditions or None, tasks=tasks, resamples=300)
        return {
            c.condition: {(e.task, e.language): (e.p, e.p_corrected, e.detectable) for e in (*c.rows, *c.languages)}
            for c in found
        }

    whole = judged()
    assert whole["mixed"][None, None][1] > whole["mixed"][None, None][0]  # two claims: the correction is at work
    alone = judged("two/more")["two/more"]
    assert alone[None, None][0] == alone[None, None][1]  # the only one of its family
    assert judged("two/more", "mixed") == {"two/more": alone, "mixed": whole["mixed"]}
    both = judged("two/more", "two/base", "same", "one/same")
    assert both["same"] == whole["same"] and list(both) == ["two/more", "two/base", "same"]
    claims = [both[name][task, None] for name in ("two/more", "two/base") for task in ("udpos", "xnli")]
    assert [one[1] for one in claims] == pytest.approx(holm([one[0] for one in claims]))
    # claims that are lost with their predictions are lost to the other study's family alone
    for row in other.evaluations:
        if (row.condition, row.task) == ("more", "udpos"):
            (row.artifact / "predictions.parquet").unlink()
    less = judged("two/more", "mixed", tasks=["xnli"])
    assert less["mixed"]["xnli", None] == whole["mixed"]["xnli", None]
    assert less["two/more"]["xnli", None][1] == pytest.approx(min(1.0, 2 * alone["xnli", None][0]))


@pytest.mark.parametrize("options", [{}, {"baseline": "same", "conditions": ["better", "demo/same"]}])
def test_a_baseline_is_no_condition_to_compare(planted, options):
    with pytest.raises(UserError, match="is the baseline itself") as error:
        compare_conditions(Home(planted), **({"conditions": ["none", "same"]} | options))
    assert error.value.where == "study demo" and error.value.fix


def test_a_choice_of_languages_is_judged_by_them(planted, comparisons):
    (one,) = compare_conditions(Home(planted), conditions=["same"], languages=["de", "sw"], resamples=500)
    for task in one.tasks:
        members = [effect for effect in one.languages if effect.task == task.task]
        assert len(members) == 2
        assert task.p_corrected == max(task.p, min(effect.p_corrected for effect in members))
    # what would have been found is known of the study's claims at their level, and of no mean of some of them
    (whole,) = compare_conditions(Home(planted), conditions=["same"], resamples=500)
    assert all(effect.detectable is not None for effect in (*whole.tasks, whole.overall))
    assert all(effect.detectable is None for effect in (*one.tasks, one.overall))
    assert "hardly any improvement" not in one.sentence and "would probably have shown" not in one.sentence
    (two,) = compare_conditions(Home(planted), conditions=["same"], tasks=["xnli", "udpos"], resamples=500)
    assert two.overall.detectable is None and all(effect.detectable is not None for effect in two.tasks)
    # a single part is that claim itself, at its own level
    (one,) = compare_conditions(Home(planted), conditions=["same"], tasks=["xnli"], resamples=500)
    assert one.overall.detectable == one.tasks[0].detectable == whole.tasks[1].detectable


def supervised(made, words):
    """The study with (condition, language) -> supervision."""
    made.evaluations = [
        replace(row, supervision=words.get((row.condition, row.language), "source" if row.language == "en" else "none"))
        for row in made.evaluations
    ]
    return made


def test_the_headline_is_over_languages_that_neither_side_was_trained_on(make, home):
    made = make(
        conditions={"none": 0.5, "mixed": 0.7, "all": 0.7}, seeds=(1, 2, 3), tasks={"xnli": "accuracy", "xquad": "answers"},
        splits=("test",), languages=("en", "de", "sw", "ru"), slope=0.02,
    )  # fmt: skip
    words = {("mixed", "de"): "same task", ("mixed", "sw"): "other task", ("all", "sw"): "text"}
    words |= {("all", code): "same task" for code in ("de", "sw", "ru")}
    land(Home(home), *supervised(made, words).arguments)
    mixed, every = compare_conditions(Home(home), resamples=200)
    parts = {(e.task, e.language): e.part for e in mixed.languages}
    assert {code for (_, code), part in parts.items() if part == "unseen"} == {"sw", "ru"}
    by_language = {(e.task, e.language): e for e in mixed.languages}
    for rows, codes in ((mixed.tasks, ("sw", "ru")), (mixed.seen[:2], ("en", "de"))):
        for effect in rows:
            assert effect.delta == pytest.approx(np.mean([by_language[effect.task, code].delta for code in codes]))
    assert [e.task for e in mixed.seen] == ["xnli", "xquad", None] and mixed.overall.part == "unseen"
    assert by_language["xnli", "de"].supervision == "same task"
    assert by_language["xnli", "de"].baseline_supervision == "none"
    assert "on average over 2 tasks in unseen languages" in mixed.sentence
    assert "In the languages that one of them was trained on for the task it is" in mixed.sentence
    assert "Of 4 unseen task-language pairs" in mixed.sentence
    assert every.tasks == () and every.overall.part == "seen"
    assert every.sentence.startswith("There is no zero-shot answer to all against none: ")
    assert not any("zero-shot" in note for note in (*mixed.notes, *every.notes))
    assert json.loads(json.dumps(mixed.to_json()))["seen"][0]["part"] == "seen"


def test_what_an_imported_condition_was_trained_on_is_not_known(make, home):
    made = make(conditions={"none": 0.5, "theirs": 0.7}, seeds=(1,), tasks={"xnli": "accuracy"}, splits=("test",))
    made = supervised(made, {})
    made.evaluations = [replace(r, supervision="") if r.condition == "theirs" else r for r in made.evaluations]
    land(Home(home), *made.arguments)
    (one,) = compare_conditions(Home(home), resamples=200)
    assert {e.language: e.part for e in one.languages} == {"en": "seen", "de": "unseen", "sw": "unseen"}
    assert any(note.startswith("what theirs was trained on is not known") for note in one.notes)


def test_one_seed_is_one_model(make, home):
    made = make(
        conditions={"none": 0.5, "mixed": 0.9}, seeds=(1, 2), tasks={"xnli": "accuracy"}, splits=("test",), n=300
    )
    kept = [r for r in made.evaluations if (r.condition, r.seed) != ("mixed", 2)]
    land(Home(home), made.study, kept, made.contracts, made.stages)
    (one,) = compare_conditions(Home(home), resamples=200)
    assert one.sentence.startswith("mixed's model ") and "none's model" not in one.sentence


@pytest.mark.parametrize("labels", [["entailment"], ["NOUN", "NOUN NOUN"]])
def test_a_model_that_gives_one_answer_to_all_is_no_null_result(make, home, labels):
    made = make(
        conditions={"none": 0.5, "mixed": 0.5},
        seeds=(1, 2, 3, 4, 5),
        n=200,
        tasks={"xnli": "accuracy"},
        splits=("test",),
    )
    for row in made.evaluations:
        if (row.condition, row.seed, row.language) == ("mixed", 2, "de"):
            path = row.artifact / "predictions.parquet"
            table = pq.read_table(path)
            column = pa.array((labels * table.num_rows)[: table.num_rows])
            pq.write_table(table.set_column(table.column_names.index("prediction"), "prediction", column), path)
    made.settle()
    land(Home(home), *made.arguments)
    (one,) = compare_conditions(Home(home), resamples=200)
    assert one.overall.degenerate == (("condition", "one answer"),) and one.overall.detectable is None
    assert {e.language: e.detectable is None for e in one.languages} == {"en": False, "de": True, "sw": False}
    assert "this is no null result, since mixed gave one answer to all examples of a language" in one.sentence
    assert "would probably have shown" not in one.sentence


def test_no_difference_is_needed_that_cannot_be(make, home):
    made = make(conditions={"none": 0.5, "mixed": 0.5}, seeds=(1,), tasks={"xnli": "accuracy"}, splits=("test",), n=4)
    land(Home(home), *made.arguments)
    (one,) = compare_conditions(Home(home), resamples=200)
    assert all(effect.detectable is None for effect in one.languages)


def test_the_studys_own_comparison_comes_first_and_controls_last(make, home):
    made = make(
        conditions={"none": 0.5, "shuffled": 0.7, "english": 0.6, "mixed": 0.55}, seeds=(1,), splits=("test",),
        tasks={"xnli": "accuracy"},
    )  # fmt: skip
    control = lambda one: replace(one, description={"control": "shuffled_labels"}) if one.name == "shuffled" else one  # noqa: E731
    study = replace(made.study, conditions=tuple(map(control, made.study.conditions)))
    land(Home(home), study, made.evaluations, made.contracts, made.stages)
    found = compare_conditions(Home(home), resamples=200)
    assert [one.condition for one in found] == ["english", "mixed", "shuffled"]
    assert [one.control for one in found] == [False, False, True] and not any(one.named for one in found)
    assert found[-1].sentence.startswith("Control: ")
    land(
        Home(home),
        replace(study, recipe={"compare": {"condition": "mixed"}}),
        made.evaluations,
        made.contracts,
        made.stages,
    )
    found = compare_conditions(Home(home), resamples=200)
    assert [(one.condition, one.named) for one in found] == [("mixed", True), ("english", False), ("shuffled", False)]


def test_the_same_seed_gives_the_same_json(planted):
    once, again = (
        json.dumps([c.to_json() for c in compare_conditions(Home(planted), resamples=200)]) for _ in range(2)
    )
    assert once == again
    other = json.dumps([c.to_json() for c in compare_conditions(Home(planted), resamples=200, seed=1)])
    assert other != once


def test_sentences_say_what_can_and_what_cannot_be_said(comparisons):
    assert headline(comparisons["better"]).startswith("better beats none by ")
    assert headline(comparisons["worse"]).startswith("worse is worse than none by ")
    said = headline(comparisons["same"])
    assert said.startswith("same cannot be told from none on average over 3 tasks: ")
    assert (
        f"a difference of {comparisons['same'].overall.detectable:.1f} points or more would probably have shown" in said
    )
    assert "Of 9 task-language pairs" in comparisons["better"].sentence
    assert "after Holm's correction" in comparisons["better"].sentence


def test_one_task_and_one_language(planted):
    (one,) = compare_conditions(Home(planted), conditions=["better"], tasks=["xnli"], languages=["de"], resamples=200)
    assert len(one.tasks) == len(one.languages) == 1
    assert one.overall.delta == pytest.approx(one.languages[0].delta)
    assert "on xnli" in one.sentence and "task-language pairs" not in one.sentence


def test_another_baseline_another_metric_another_level(planted):
    (one,) = compare_conditions(
        Home(planted), baseline="worse", conditions=["better"], tasks=["udpos"], metric="token_accuracy", confidence=0.9,
        resamples=300,
    )  # fmt: skip
    assert one.tasks[0].metric == "token_accuracy" and one.baseline == "worse"
    (wider,) = compare_conditions(
        Home(planted), baseline="worse", conditions=["better"], tasks=["udpos"], metric="token_accuracy", confidence=0.99,
        resamples=300,
    )  # fmt: skip
    assert wider.tasks[0].high - wider.tasks[0].low > one.tasks[0].high - one.tasks[0].low


def test_different_examples_are_compared_on_what_both_have(make, home):
    made = make(
        conditions={"none": 0.5, "mixed": 0.7}, seeds=(1, 2), tasks={"xnli": "accuracy"}, splits=("test",), n=100
    )
    shorter = next(row for row in made.evaluations if (row.condition, row.language, row.seed) == ("mixed", "de", 2))
    path = shorter.artifact / "predictions.parquet"
    table = pq.read_table(path)
    shuffled = table.take(np.random.default_rng(0).permutation(100)[:70])
    pq.write_table(shuffled, path)
    made.settle()
    land(Home(home), *made.arguments)
    (one,) = compare_conditions(Home(home), resamples=200)
    de = next(effect for effect in one.languages if effect.language == "de")
    assert (de.n, de.dropped) == (70, 30)
    assert any("30 examples that not every run has are left out" in note for note in one.notes)
    kept = set(shuffled["id"].to_pylist())
    expected = {}
    for row in made.evaluations:
        if row.language == "de":
            rows = pq.read_table(row.artifact / "predictions.parquet").to_pylist()
            expected.setdefault(row.condition, []).append(np.mean([r["s_correct"] for r in rows if r["id"] in kept]))
    assert de.delta == pytest.approx(100 * (np.mean(expected["mixed"]) - np.mean(expected["none"])), abs=1e-4)


def test_examples_with_unknown_outcomes_do_not_count(make, home):
    made = make(conditions={"none": 0.5, "mixed": 0.7}, seeds=(1,), tasks={"xnli": "accuracy"}, splits=("test",), n=50)
    for row in made.evaluations:
        path = row.artifact / "predictions.parquet"
        table = pq.read_table(path)
        unknown = np.arange(50) < (50 if row.language == "sw" else 10)
        column = pa.array(table["s_correct"].to_numpy(), mask=unknown)
        pq.write_table(table.set_column(table.column_names.index("s_correct"), "s_correct", column), path)
    made.settle()
    land(Home(home), *made.arguments)
    (one,) = compare_conditions(Home(home), resamples=200)
    assert {effect.language: effect.n for effect in one.languages} == {"de": 40, "en": 40}
    assert any("1 languages have no example with a known outcome in common" in note for note in one.notes)


def test_missing_cells_and_seeds_are_said(make, home):
    made = make(
        conditions={"none": 0.5, "mixed": 0.7}, seeds=(1, 2), tasks={"xnli": "accuracy"}, splits=("test",), n=50
    )
    less = [r for r in made.evaluations if not (r.condition == "mixed" and (r.language == "sw" or r.seed == 2))]
    land(Home(home), made.study, less, made.contracts, made.stages)
    (one,) = compare_conditions(Home(home), resamples=200)
    assert {effect.language for effect in one.languages} == {"de", "en"}
    assert (one.overall.seeds, one.overall.baseline_seeds) == (1, 2)
    notes = " ".join(one.notes)
    assert "not every language has both sides; 2 are compared" in notes
    assert "xnli: seeds 1 against seeds 1, 2" in notes
    assert "one seed of mixed: the intervals hold for this model of it" in notes


def test_the_sides_may_have_different_seeds(make, home):
    made = make(conditions={"none": 0.5, "mixed": 0.7}, seeds=(1, 2, 3), tasks={"xnli": "accuracy"}, splits=("test",))
    kept = [r for r in made.evaluations if (r.condition == "mixed") == (r.seed == 3)]
    land(Home(home), made.study, kept, made.contracts, made.stages)
    (one,) = compare_conditions(Home(home), resamples=200)
    expected = {}
    for row in kept:
        value = json.loads((row.artifact / "scores.json").read_text())["metrics"]["accuracy"]
        expected.setdefault(row.condition, []).append(value)
    assert one.overall.delta == pytest.approx(np.mean(expected["mixed"]) - np.mean(expected["none"]), abs=1e-4)
    assert (one.overall.seeds, one.overall.baseline_seeds) == (1, 2)


def test_a_seed_that_a_side_lacks_in_a_language_is_left_out(make, home):
    made = make(conditions={"none": 0.5, "mixed": 0.7}, seeds=(1, 2), tasks={"xnli": "accuracy"}, splits=("test",))
    kept = [r for r in made.evaluations if (r.condition, r.language, r.seed) != ("none", "sw", 2)]
    land(Home(home), made.study, kept, made.contracts, made.stages)
    (one,) = compare_conditions(Home(home), resamples=200)
    assert (one.overall.seeds, one.overall.baseline_seeds) == (2, 1)
    assert any("seeds that a side has not in every language are left out" in note for note in one.notes)


def test_conditions_of_two_studies_can_be_compared(make, home):
    land(Home(home), *make(name="one", conditions={"none": 0.5, "mixed": 0.7}, splits=("test",)).arguments)
    land(Home(home), *make(name="two", conditions={"base": 0.5, "more": 0.7}, splits=("test",), seed=1).arguments)
    with pytest.raises(UserError, match="which of 2 studies"):
        compare_conditions(Home(home))
    (one,) = compare_conditions(Home(home), study="one", baseline="two/base", conditions=["mixed"], resamples=200)
    assert (one.study, one.condition, one.baseline) == ("one", "mixed", "two/base")
    assert one.overall.delta > 5


def test_identical_artifacts_differ_by_nothing_but_prove_little(make, home):
    made = make(conditions={"none": 0.5, "mixed": 0.7}, seeds=(1,), tasks={"xnli": "accuracy"}, splits=("test",), n=60)
    base = {row.language: row for row in made.evaluations if row.condition == "none"}
    twins = [
        replace(row, artifact=base[row.language].artifact) if row.condition == "mixed" else row
        for row in made.evaluations
    ]
    land(Home(home), made.study, twins, made.contracts, made.stages)
    (one,) = compare_conditions(Home(home), resamples=200)
    assert one.overall.delta == 0 and one.overall.p == 1.0 and one.overall.verdict == "open"
    assert 0 < one.overall.high < 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"study": "dmo"}, "no study 'dmo' has landed"),
        ({"baseline": "nona"}, "no condition 'nona' with scores"),
        ({"conditions": ["bettr"]}, "no condition 'bettr'"),
        ({"split": "train"}, "no condition 'none' with scores"),
        ({"metric": "bleu"}, "metric 'bleu' cannot be computed from s_"),
        ({"tasks": ["nothing"]}, "no condition 'none' with scores"),
    ],
)
def test_mistakes(planted, options, message):
    with pytest.raises(UserError, match=message):
        compare_conditions(Home(planted), **options)


def test_predictions_that_are_gone_are_named(make, home):
    made = make(conditions={"none": 0.5, "mixed": 0.7}, seeds=(1,), splits=("test",))
    land(Home(home), *made.arguments)
    gone = made.evaluations[0].artifact / "predictions.parquet"
    gone.unlink()
    with pytest.raises(UserError, match="the predictions are gone") as error:
        compare_conditions(Home(home))
    assert str(gone) in error.value.where


def test_ids_that_occur_twice_are_an_error(make, home):
    made = make(conditions={"none": 0.5, "mixed": 0.7}, seeds=(1,), tasks={"xnli": "accuracy"}, splits=("test",))
    path = made.evaluations[-1].artifact / "predictions.parquet"
    table = pq.read_table(path)
    pq.write_table(table.take([0, *range(table.num_rows)]), path)
    made.settle()
    land(Home(home), *made.arguments)
    with pytest.raises(UserError, match="same id twice"):
        compare_conditions(Home(home))


def test_the_study_file_sets_the_level(make, home):
    made = make(conditions={"none": 0.5, "mixed": 0.7}, seeds=(1,), splits=("test",))
    study = replace(made.study, recipe={"compare": {"resamples": 150, "confidence": 0.8}})
    land(Home(home), study, made.evaluations, made.contracts, made.stages)
    (one,) = compare_conditions(Home(home))
    assert (one.resamples, one.confidence) == (150, 0.8)


def test_damage_that_is_not_asked_for_counts_as_a_claim_not_decided(make, home):
    made = make(conditions={"none": 0.5, "mixed": 0.7, "other": 0.9}, seeds=(1,), splits=("test",))
    land(Home(home), *made.arguments)
    (whole,) = compare_conditions(Home(home), conditions=["mixed"], resamples=200)
    for row in made.evaluations:
        if (row.condition, row.task) == ("other", "xnli"):
            (row.artifact / "predictions.parquet").unlink()
    (less,) = compare_conditions(Home(home), conditions=["mixed"], resamples=200)
    assert [e.p for e in less.tasks] == [e.p for e in whole.tasks]
    assert all(a.p_corrected >= b.p_corrected for a, b in zip(less.tasks, whole.tasks, strict=True))
    with pytest.raises(UserError, match="the predictions are gone"):
        compare_conditions(Home(home), resamples=200)


def test_results_of_no_study_file_are_compared_as_those_of_one():
    defaults = {name: field.default for name, field in Compare.model_fields.items()}
    assert (defaults["resamples"], defaults["confidence"]) == (RESAMPLES, CONFIDENCE)
