"""What a study read and trained on, in words: stand-ins, limits, uneven tokens."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtreme_dag.core.home import Home
from xtreme_dag.report.content import read_content
from xtreme_dag.report.html import write_page
from xtreme_dag.report.short import short_form
from xtreme_dag.results.compare import compare_conditions
from xtreme_dag.results.facts import Condition, CurveFacts, TableFacts, TrainingFacts
from xtreme_dag.results.landing import land
from xtreme_dag.results.query import reader
from xtreme_dag.results.reading import data_lines

HALF = "half of dev"
TABLES = (
    TableFacts(
        dataset="xnli", language="de", split="test", examples=1245, available=1245, published=5010, stand_in=HALF
    ),
    TableFacts(
        dataset="xnli", language="sw", split="test", examples=1245, available=1245, published=5010, stand_in=HALF
    ),
    TableFacts(dataset="mnli", language="en", split="train", examples=1000, available=392_702),
    TableFacts(dataset="mnli", language="en", split="dev", examples=20, available=20),
)


def test_stand_ins_and_limits_say_how_many_of_how_many():
    assert data_lines(TABLES) == [
        "mnli train (en) has 1,000 of 392,702 examples",
        f"xnli test (de sw) is a stand-in: {HALF}; 1,245 of 5,010 examples",
    ]


@given(
    st.integers(1, 9_000), st.integers(0, 9_000), st.integers(0, 9_000), st.none() | st.integers(1, 9_000), st.booleans()
)  # fmt: skip
def test_what_is_not_all_of_the_published_data_has_a_line(examples, left, more, published, stands_in):
    table = TableFacts(
        dataset="xnli", language="en", split="test", examples=examples, available=examples + left, published=published,
        stand_in="another" if stands_in else "",
    )  # fmt: skip
    part = stands_in or left > 0 or (published is not None and 20 * examples < 19 * published)
    assert bool(data_lines([table])) == part
    # a limit of the study below what the files have, which are themselves fewer than were published
    less = replace(table, available=examples + 1, published=examples + 1 + more, stand_in="")
    assert data_lines([less]) == [f"xnli test (en) has {examples:,} of {examples + 1 + more:,} examples"]


@pytest.mark.parametrize(("examples", "data"), [(1000, "2,000 of 10,020 examples"), (4760, None), (5010, None)])
def test_files_with_few_of_the_published_examples_are_said_everywhere(make, home, examples, data):
    tables = tuple(
        TableFacts(dataset="xnli", language=code, split="test", examples=examples, available=examples, published=5010)
        for code in ("de", "sw")
    )
    made = make(seeds=(1,), n=20, tasks={"xnli": "accuracy"}, splits=("test",))
    land(Home(home), replace(made.study, tables=tables), made.evaluations, made.contracts, made.stages)
    line = f"xnli test (de sw) has {examples:,} of 5,010 examples"
    assert data_lines(tables) == ([line] if data else [])
    with reader(Home(home)) as connection:
        beside = connection.execute("SELECT DISTINCT data FROM beside_published WHERE study IS NOT NULL").fetchall()
        assert beside == [(data,)]
        assert connection.execute("SELECT data FROM test_data").fetchall() == ([(data,)] if data else [])
    content = read_content(Home(home), "demo", resamples=100)
    head = "Not all of the published data were used"
    short, page = short_form(content).markdown, page_text(content, home)
    assert (f"{head}: {line}." in short, f"{head}. X{line[1:]}." in page) == (bool(data), bool(data))
    assert (head in short, head in page) == (bool(data), bool(data))


def page_text(content, home):
    """The words of the report's page, without markup."""
    page = re.sub(r"<[^>]+>", "", write_page(content, home / "page.html").read_text(encoding="utf-8"))
    return " ".join(page.split())


def drew(condition, tokens):
    return TrainingFacts(
        condition=condition, seed=1, target="", step=1, task="xnli", dataset="mnli", language="en", examples=10,
        tokens=tokens,
    )  # fmt: skip


def landed(make, home, tokens):
    made = make(conditions={"none": 0.5, "english": 0.5, "mixed": 0.5}, seeds=(1,), n=20, tasks={"xnli": "accuracy"})
    described = tuple(
        Condition(name=one.name, description={"budget": {"examples": 10}}) for one in made.study.conditions
    )
    trained = tuple(drew(name, count) for name, count in tokens.items())
    study = replace(made.study, conditions=described, tables=TABLES, trained=trained)
    land(Home(home), study, made.evaluations, made.contracts, made.stages)
    return {one.condition: one for one in compare_conditions(Home(home), resamples=100)}


def test_tokens_that_differ_by_more_than_a_tenth_are_warned_about(make, home):
    found = landed(make, home, {"english": 1000, "mixed": 1120})
    assert any("1,120 against 1,000 tokens" in note for note in found["mixed"].notes)
    assert found["mixed"].trained.tokens == 1120 and found["mixed"].baseline_trained.tokens == 0
    found = landed(make, home, {"english": 1000, "mixed": 1080})
    assert not any("tokens" in note for note in found["mixed"].notes)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (["EPYC, avx2"], "trained on EPYC, avx2: on another processor the figures differ a little"),
        (["EPYC, avx2", "Xeon, avx512f"], "the trainings ran on unlike processors, which alone makes figures differ a little: "
                                           "2 on EPYC, avx2; 1 on Xeon, avx512f"),
        ([""], None),
    ],
)  # fmt: skip
def test_the_processor_is_named_beside_the_figures(make, home, where, said):
    made = make(seeds=(1,), n=20, tasks={"xnli": "accuracy"})
    trained = [stage for stage in made.stages if stage.kind == "target"]
    places = {stage.key: where[number % len(where)] for number, stage in enumerate(trained)}
    curves = tuple(
        CurveFacts(stage_key=key, kind="target", condition="", seed=1, target="xnli", step=1, measure="loss", at=(1,), values=(0.5,))
        for key in places
    )  # fmt: skip
    stages = [replace(stage, processor=places.get(stage.key, "another, of no training")) for stage in made.stages]
    land(Home(home), replace(made.study, curves=curves), made.evaluations, made.contracts, stages)
    for comparison in compare_conditions(Home(home), resamples=100):
        assert [note for note in comparison.notes if "processor" in note] == ([said] if said else [])


def test_the_database_says_what_stood_in_beside_published_figures(make, home):
    landed(make, home, {"english": 1000, "mixed": 1000})
    with reader(Home(home)) as connection:
        rows = connection.execute("SELECT DISTINCT data FROM beside_published WHERE study IS NOT NULL").fetchall()
        assert connection.execute("SELECT count(*) FROM data_tables").fetchone() == (4,)
    assert (f"stand-in: {HALF}; 2,490 of 10,020 examples",) in rows
