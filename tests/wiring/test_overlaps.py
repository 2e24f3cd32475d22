"""What is tested is not in what is trained or selected on: each planted leak stops the study, clean data stop nothing."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import LANGUAGES, NLI, squad, write_release
from tests.wiring.small_studies import Bench, mixture, small
from xtreme_dag.contracts.shared import Shared, shared_in
from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.graph import Graph
from xtreme_dag.miniworld.source import table
from xtreme_dag.study.file import Study
from xtreme_dag.wiring.audit import audits
from xtreme_dag.wiring.build import build
from xtreme_dag.wiring.kinds import KINDS

Folder = Path
ENGLISH = {"none": {}, "mixed": mixture({"dataset": "xnli"})}
GERMAN = {"none": {}, "mixed": mixture({"dataset": "xnli", "languages": ["de"]})}


@pytest.fixture
def release(tmp_path: Path) -> Folder:
    """A folder in which nothing leaks."""
    write_release(tmp_path)
    return tmp_path


def study(folder: Folder, conditions: dict[str, Any] | None = None, **more: Any) -> Study:
    """A study of such a folder, without contracts."""
    data = {"folder": str(folder), "contracts": False, **more.pop("data", {})}
    more = {"languages": ["en", "ru"], "targets": ["xnli", "udpos", "xquad"], **more}
    return small(conditions or ENGLISH, data=data, **more)


def looked(bench: Bench, planned: Study) -> tuple[set[str], dict[tuple[str, str], Shared]]:
    """The audits that stop what comes after them, and what was found: (seen, tested) -> what they share."""
    graph = audits(build(planned).graph)
    outcomes = bench.outcomes(planned, graph)
    names = [stage.name for stage in graph if stage.kind == "audit"]
    found = [
        one for name in names for one in shared_in(json.loads((bench.artifact(name) / "overlap.json").read_text()))
    ]
    return {name for name in names if outcomes[name] == "failed"}, {(one.seen, one.tested): one for one in found}


def pairs(code: str, split: str, count: int = 24) -> list[dict[str, Any]]:
    rows = table("pair_classification", dataset="xnli", language=code, split=split, rows=count, seed=3, labels=NLI)
    return rows.to_pylist()


def tsv(rows: list[dict[str, Any]]) -> str:
    return "".join(f"{row['text_a']}\t{row['text_b']}\t{row['label']}\n" for row in rows)


def changed(rows: list[dict[str, Any]], change: Callable[[str], str]) -> list[dict[str, Any]]:
    return [{**row, "text_a": change(row["text_a"]), "text_b": change(row["text_b"])} for row in rows]


def half_shuffled() -> list[dict[str, Any]]:
    rows = pairs("en", "test")[:12] + pairs("en", "train", 60)
    random.Random(1).shuffle(rows)
    return rows


# What the file of xnli's training data in a language is replaced with -> how its examples are found.
PLANTED = {
    "the test itself": ("en", pairs("en", "test"), "text"),
    "lower case and a full stop": ("en", changed(pairs("en", "test"), lambda text: text.lower() + " ."), "text"),
    "half of it, shuffled": ("en", half_shuffled(), "text"),
    "its parallel copy": ("en", pairs(LANGUAGES["ru"], "test"), "text"),
    "its translation": ("de", pairs("qad", "test"), "number"),
    "another language of it": ("de", pairs(LANGUAGES["de"], "test"), "text"),
    "near duplicates": ("en", changed(pairs("en", "test"), lambda text: text[:3] + "x" + text[3:]), "near"),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_leak_stops_training(bench, release, planted):
    code, rows, how = PLANTED[planted]
    (release / "xnli" / f"train-{code}.tsv").write_text(tsv(rows))
    stopped, found = looked(bench, study(release, ENGLISH if code == "en" else GERMAN))
    assert f"audit[xnli | {code} | train]" in stopped
    leaks = [one for one in found.values() if one.stops and one.tested.startswith("xnli/") and how in one.by]
    assert leaks and all(one.found >= one.examples // 2 for one in leaks)


def test_what_leaks_is_not_trained_on_and_the_rest_is(bench, release):
    (release / "xnli" / "train-en.tsv").write_text(tsv(pairs("en", "test")))
    planned = study(release, targets=["xnli", "udpos"], languages=["en"])
    graph = build(planned).graph
    outcomes = bench.outcomes(planned, graph)
    assert outcomes["audit[xnli | en | train]"] == outcomes["audit[mnli | en | train]"] == "failed"
    assert outcomes["intermediate[mixed | seed 1]"] == outcomes["target[xnli | none | seed 1]"] == "not run"
    assert outcomes["evaluate[xnli | en | mixed | seed 1]"] == "not run"
    assert outcomes["evaluate[udpos | en | none | seed 1]"] in ("succeeded", "cached")


def test_a_leak_that_the_study_allows_stops_nothing_and_is_kept(bench, release):
    (release / "xnli" / "train-en.tsv").write_text(tsv(pairs("en", "test")))
    allow = [{"seen": f"{name}/en/train", "tested": "xnli/*/test", "reason": "planted by this test"}
             for name in ("xnli", "mnli")]  # fmt: skip
    stopped, found = looked(bench, study(release, data={"allow_overlap": allow}))
    assert stopped == set()
    kept = found["xnli/en/train", "xnli/en/test"]
    assert (kept.leak, kept.stops, kept.allowed) == (True, False, "planted by this test")
    with pytest.raises(UserError, match="reason"):
        study(release, data={"allow_overlap": [{"seen": "xnli/en/train", "tested": "xnli/en/test"}]})


def test_dev_equal_to_test_is_found(bench, release):
    (release / "xnli" / "dev-en.tsv").write_text(tsv(pairs("en", "test")))
    stopped, found = looked(bench, study(release))
    assert stopped == {"audit[xnli | en | dev | selection]"}
    assert found["xnli/en/dev", "xnli/en/test"].seen_for == "select"


def test_training_on_what_is_selected_on_is_found(bench, release):
    (release / "xnli" / "train-en.tsv").write_text(tsv(pairs("en", "dev")))
    stopped, found = looked(bench, study(release))
    assert {"audit[xnli | en | train]", "audit[mnli | en | train]"} <= stopped
    assert found["mnli/en/train", "xnli/en/dev"].stops


def test_training_on_a_dev_split_is_refused(release):
    dev = {"none": {}, "mixed": mixture({"dataset": "xnli", "split": "dev"})}
    with pytest.raises(UserError, match="xnli dev is a split to select on: nothing may be trained on it"):
        build(study(release, dev))


def test_questions_under_the_same_ids_in_another_language_are_found(bench, release):
    """SQuAD's ids are hashes, which its translations keep."""
    named = [{**row, "id": hashlib.md5(str(number).encode()).hexdigest()[:24]}
             for number, row in enumerate(questions("qad", "test"))]  # fmt: skip
    for code, name in (("ru", LANGUAGES["ru"]), ("en", "en"), ("de", LANGUAGES["de"])):
        rows = [{**row, "id": one["id"]} for row, one in zip(questions(name, "test"), named, strict=True)]
        (release / "xquad" / f"xquad.{code}.json").write_text(squad(rows))
    (release / "squad" / "train-v1.1.json").write_text(squad(named))
    stopped, found = looked(bench, study(release))
    assert stopped == {"audit[squad_v1 | en | train]"}
    assert found["squad_v1/en/train", "xquad/ru/test"].by == {"id": 24}


NAMED = {  # how an example is called by its number -> whether its id tells it from all others
    "a hash": (lambda number: hashlib.md5(str(number).encode()).hexdigest()[:16], True),
    "a hash after a prefix": (lambda number: f"en-{hashlib.md5(str(number).encode()).hexdigest()}-0", True),
    "a number of an article": (lambda number: f"{300_000_000 + number}", True),
    "a running number": (lambda number: f"{number}", False),
    "a running number with noughts": (lambda number: f"test-{number:012d}", False),
    "eight digits": (lambda number: f"{30_000_000 + number}", False),
    "a hash in capitals": (lambda number: f"ABCDEFABCDEFABCDEF{number:02d}", False),
    "a UUID": (lambda number: f"abcdef{number:02d}-abcd-abcd-abcd-abcdefabcd{number:02d}", False),
}


@pytest.mark.parametrize("named", NAMED)
def test_ids_that_no_other_example_can_have_are_found_and_no_others(bench, release, named):
    """docs/datasets.md says which those are; the texts are in three languages, so that nothing but ids can tell."""
    name, tells = NAMED[named]
    for code, world in (("ru", LANGUAGES["ru"]), ("en", "en")):
        rows = [{**row, "id": name(number)} for number, row in enumerate(questions(world, "test"))]
        (release / "xquad" / f"xquad.{code}.json").write_text(squad(rows))
    train = [{**row, "id": name(number)} for number, row in enumerate(questions("qad", "train"))]
    (release / "squad" / "train-v1.1.json").write_text(squad(train))
    stopped, found = looked(bench, study(release))
    assert stopped == ({"audit[squad_v1 | en | train]"} if tells else set())
    ways = {tested: one.by.get("id") for (seen, tested), one in found.items() if seen == "squad_v1/en/train"}
    assert ways == ({"xquad/en/test": 24, "xquad/ru/test": 24} if tells else {})


def questions(code: str, split: str) -> list[dict[str, Any]]:
    return table("span_qa", dataset="xquad", language=code, split=split, rows=24, seed=3).to_pylist()


def test_passages_that_are_shared_by_design_are_no_leak(bench, release):
    """Other questions on the passages of the test: SQuAD's and TyDiQA's ways."""
    asked = zip(questions("en", "test"), questions("en", "train"), strict=True)
    (release / "squad" / "train-v1.1.json").write_text(
        squad([{**mine, "question": other["question"], "id": other["id"]} for mine, other in asked])
    )
    stopped, found = looked(bench, study(release))
    assert (stopped, found) == (set(), {})


def test_short_texts_that_recur_are_no_leak(bench, release):
    train, test = release / "udpos" / "train-en.tsv", release / "udpos" / "test-en.tsv"
    short = "".join(f"{word}\tINTJ\n.\tPUNCT\n\n" for word in ("Yes", "No", "Thanks", "Hello"))
    train.write_text(train.read_text() + "\n" + short)
    test.write_text(test.read_text() + "\n" + short)
    stopped, found = looked(bench, study(release))
    assert stopped == set() and found["udpos/en/train", "udpos/en/test"].found == 4


def test_the_same_sentences_under_another_dataset_are_found(bench, release):
    """Text of tests that an objective without labels would read, in another format."""
    lines = "".join(f"{row['text_a']}\n{row['text_b']}\n" for row in pairs(LANGUAGES["ru"], "test"))
    (release / "text").mkdir()
    (release / "text" / "ru.txt").write_text(lines)
    text = {"none": {}, "mlm": mixture({"dataset": "plain_text", "languages": ["ru"], "objective": "mlm"})}
    stopped, found = looked(bench, study(release, text))
    assert stopped == {"audit[plain_text | ru | train]"}
    assert found["plain_text/ru/train", "xnli/ru/test"].share == 1.0


def test_clean_data_pass_and_every_training_waits_for_its_audits(bench, release):
    stopped, found = looked(bench, study(release))
    assert stopped == set() and not [one for one in found.values() if one.leak]
    assert_gated(build(study(release)).graph)


def assert_gated(graph: Graph) -> None:
    """What is trained on labelled tables waits for an audit of each."""
    trainings = [
        stage for stage in graph if KINDS[stage.kind].trains and "train" in {n.split("/")[0] for n in stage.inputs}
    ]
    assert trainings
    for stage in trainings:
        assert any(name.startswith("audit[") for name in stage.after), stage.name
