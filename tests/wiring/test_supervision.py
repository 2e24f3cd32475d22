"""In which languages a model was trained on a task: read off the stage graph."""

import pytest

from tests.wiring.small_studies import mixture, small
from xtreme_dag.program.publish import land_study
from xtreme_dag.results.query import reader
from xtreme_dag.wiring.build import build
from xtreme_dag.wiring.forecast.caveats import no_answer_lines
from xtreme_dag.wiring.forecast.overview import seen_lines
from xtreme_dag.wiring.supervision import by_condition

XNLI = {"dataset": "xnli"}
LANGUAGES = ["en", "qaa", "qac", "qag"]


def words(conditions, **more):
    more = {"languages": LANGUAGES, "targets": ["xnli", "udpos", "tatoeba"], **more}
    return by_condition(build(small(conditions, **more)).graph)


@pytest.mark.parametrize(
    ("condition", "xnli", "udpos"),
    [
        (None, "source none none none", "source none none none"),
        (mixture(XNLI | {"languages": ["en"]}), "source none none none", "source none none none"),
        (mixture(XNLI | {"languages": ["en", "qaa"]}), "source same none none", "source other none none"),
        (
            mixture(XNLI | {"languages": ["qaa"], "share": 0.5}, {"dataset": "mnli", "languages": ["en"], "share": 0.5}),
            "source same none none",
            "source other none none",
        ),
        (mixture(XNLI | {"languages": ["qac"], "translated": "lexicon"}), "source none same none", "source none other none"),
        (mixture({"dataset": "mnli", "languages": ["qag"], "translated": "lexicon"}), "source none none same", "source none none other"),
        (mixture(XNLI | {"languages": ["qaa"], "objective": "mlm"}), "source text none none", "source text none none"),
        (mixture({"dataset": "parallel_text", "languages": ["qac"], "objective": "tlm"}), "source none text none", "source none text none"),
        (mixture(XNLI | {"languages": ["qaa"]}, control="shuffled_labels"), "source same none none", "source other none none"),
        ({"source_language": "qaa"}, "none source none none", "none source none none"),
        (
            mixture(XNLI | {"languages": ["qaa"]}, then=[mixture({"dataset": "udpos", "languages": ["qac"]})]),
            "source same other none",
            "source other same none",
        ),
    ],
)  # fmt: skip
def test_the_most_supervision_that_a_language_had(condition, xnli, udpos):
    found = words({"a": condition})["a"]
    for task, expected in (("xnli", xnli), ("udpos", udpos)):
        assert [found[task][code].split()[0] for code in LANGUAGES] == expected.split(), task
    assert "source" not in found["tatoeba"].values()


def test_items_of_another_dataset_and_unions_count_as_the_task():
    conditions = {
        "named": mixture({"dataset": "snli", "languages": ["en"], "items_of": "mnli"}),
        "apart": mixture({"dataset": "snli", "languages": ["en"]}),
        "union": mixture({"dataset": "anli_plus", "languages": ["en"]}),
    }
    found = words(conditions, targets=["xnli"], source_language="qaa")
    assert {name: found[name]["xnli"]["en"] for name in conditions} == {
        "named": "same task",
        "apart": "other task",
        "union": "same task",
    }


def test_a_plan_says_what_is_seen_and_where_no_language_is_left():
    conditions = {
        "none": None,
        "mixed": mixture(XNLI | {"languages": ["en", "qaa"]}),
        "all": mixture(XNLI | {"languages": LANGUAGES}),
    }
    found = words(conditions, targets=["xnli", "udpos"])
    assert list(seen_lines(found)) == [
        "seen: none: xnli udpos in en (source)",
        "seen: mixed: xnli in en (source), qaa (same task); udpos in en (source)",
        "seen: all: xnli in en (source), qaa qac qag (same task); udpos in en (source)",
    ]
    assert [line.split(":")[0] for line in no_answer_lines("none", found, ())] == [
        "all against none has no zero-shot answer on xnli"
    ]
    # the source language of another condition is no language for a zero-shot answer
    (line,) = no_answer_lines("none", {name: found[name] for name in ("none", "mixed")}, {"en", "qac", "qag"})
    assert line.startswith("mixed against none has no zero-shot answer on xnli: ") and "or a source language" in line


def test_it_lands_with_the_scores(bench):
    study = small(
        {"none": None, "mixed": mixture(XNLI | {"languages": ["en", "qaa"]})}, study="seen", languages=LANGUAGES[:3]
    )
    bench.run(study, "evaluate")
    land_study(bench.home, study, build(study), bench.keys)
    with reader(bench.home) as connection:
        rows = connection.execute(
            "SELECT language, supervision, baseline_supervision FROM deltas WHERE study = 'seen' AND split = 'test'"
            " ORDER BY language"
        ).fetchall()
        assert rows == [("en", "source", "source"), ("qaa", "same task", "none"), ("qac", "none", "none")]
        assert connection.execute(
            "SELECT DISTINCT supervision FROM scores WHERE study = 'seen' AND condition = 'mixed' AND language = 'qaa'"
        ).fetchall() == [("same task",)]
