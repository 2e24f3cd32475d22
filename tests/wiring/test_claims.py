"""What a plan says that a study will claim is what `compare` then claims."""

import pytest

from tests.wiring.small_studies import mixture, small
from xtreme_dag.engine.plan import Planner
from xtreme_dag.engine.store import Store
from xtreme_dag.program.publish import land_study
from xtreme_dag.results.compare import compare_conditions
from xtreme_dag.wiring.build import build
from xtreme_dag.wiring.forecast.caveats import no_answer_lines
from xtreme_dag.wiring.forecast.claims import claims
from xtreme_dag.wiring.forecast.sizes import Sizes
from xtreme_dag.wiring.supervision import by_condition, source_languages

LANGUAGES = ["en", "qaa", "qac", "qag"]
MIX = {"mix": mixture({"dataset": "xnli", "languages": ["qac"]})}
SOURCES = {"en": None, "qaa": {"source_language": "qaa"}}


def claimed(study, home):
    graph = build(study).graph
    return claims(study, graph, Sizes(graph, Planner(home, study.study).plan(graph), Store(home.store)))


@pytest.mark.parametrize(
    ("name", "conditions", "tested"),
    [
        ("one_source", {"en": None, **MIX}, LANGUAGES),
        ("sources_and_a_mix", {**SOURCES, **MIX}, LANGUAGES),
        ("sources_alone", {**SOURCES, **MIX}, ["en", "qaa"]),
        ("no_zero_shot", {**SOURCES, **MIX}, ["en", "qaa", "qac"]),
    ],
)
def test_a_plan_has_the_languages_and_claims_that_compare_has(bench, name, conditions, tested):
    study = small(conditions, study=name, languages=tested, targets=["xnli"])
    bench.run(study, "evaluate")
    built = build(study)
    land_study(bench.home, study, built, bench.keys)
    compared = compare_conditions(bench.home, study=name, resamples=100)
    unseen = {one.condition: {e.language: e.n for e in one.languages if e.part == "unseen"} for one in compared}
    found = claimed(study, bench.home)
    assert found.examples == (
        {"xnli": every} if (every := {k: n for one in unseen.values() for k, n in one.items()}) else {}
    )
    assert found.of_tasks == sum(len({e.part for e in one.languages}) for one in compared)
    words = by_condition(built.graph)
    said = no_answer_lines("en", words, source_languages(study, words))
    assert [line.split()[0] for line in said] == [one for one, free in unseen.items() if not free]
    for condition, free in unseen.items():  # where the study names a comparison, power is about that one
        named = small(conditions, study=name, languages=tested, targets=["xnli"],
                      compare={"baseline": "en", "condition": condition})  # fmt: skip
        assert claimed(named, bench.home).examples == ({"xnli": free} if free else {})
        assert claimed(named, bench.home).of_tasks == found.of_tasks


@pytest.mark.parametrize(("clusters", "expected"), [(False, {"mwoz"}), (True, {"mwoz", "xquad"})])
def test_tasks_that_compare_draws_in_groups(bench, clusters, expected):
    study = small(
        {"en": None, **MIX}, targets=["xnli", "xquad", "mwoz"], compare={"baseline": "en", "clusters": clusters}
    )
    assert claimed(study, bench.home).wholes == expected
