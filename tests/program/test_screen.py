"""A study on one screen, and its answer in three sentences."""

from dataclasses import replace

import pytest

from tests.results.synthetic_study import make_study
from xtreme_dag.core.home import Home
from xtreme_dag.program.screen import COLUMNS, screen
from xtreme_dag.results.compare import compare_conditions
from xtreme_dag.results.landing import land
from xtreme_dag.results.wording import answer_lines

QUESTION = "Does intermediate training on a mix of languages beat English-only intermediate training at equal budget?"


@pytest.fixture(scope="module")
def comparisons(tmp_path_factory):
    home = tmp_path_factory.mktemp("screen")
    made = make_study(
        home, conditions={"english": 0.6, "mixed": 0.85, "none": 0.4, "shuffled": 0.4}, n=150, seeds=(1, 2, 3), splits=("test",)
    )  # fmt: skip
    seen = {("mixed", "de"): "same task"}
    made.evaluations = [
        replace(row, supervision="source" if row.language == "en" else seen.get((row.condition, row.language), "none"))
        for row in made.evaluations
        if (row.task, row.language) != ("udpos", "de")
    ]
    conditions = tuple(
        replace(one, description={"control": "shuffled_labels"}) if one.name == "shuffled" else one
        for one in made.study.conditions
    )
    recipe = {"compare": {"baseline": "english", "condition": "mixed"}}
    made.study = replace(made.study, conditions=conditions, recipe=recipe)
    land(Home(home), *made.arguments)
    return compare_conditions(Home(home), resamples=200)


def test_question_answer_figures_and_controls_are_on_one_screen(comparisons):
    lines = screen(QUESTION, comparisons)
    assert len(lines) <= 18 and max(map(len, lines)) <= COLUMNS
    assert " ".join(lines[:2]) == QUESTION and lines[2].startswith("mixed beats english by ")
    assert "In the languages that one of them was trained on for the task it is +" in " ".join(lines)
    rows = lines[lines.index("") + 3 :]
    named = comparisons[0]
    assert [row[:20].strip() for row in rows[:6]] == ["mixed", "", "", "", "none", "shuffled (control)"]
    for row, effect in zip(rows, [*named.tasks, named.overall], strict=False):
        told = [f"{effect.delta:+.1f}", f"{effect.low:+.1f}", "to", f"{effect.high:+.1f}"]
        assert told == [word for word in row.split() if word[0] in "+-" or word == "to"][:4]
        assert ("*" in row[: row.index(f"{effect.high:+.1f}") + 20]) == (effect.verdict != "open")
    assert sum("all tasks" in row for row in rows) == 3


def test_the_answer_is_what_the_study_names_in_unseen_and_seen_languages_and_the_control(comparisons):
    first, second, third, rest = answer_lines(comparisons)
    assert first.startswith("mixed beats english by ") and "in unseen languages" in first
    assert second.startswith("In the languages that one of them was trained on")
    assert third.startswith("Control: shuffled ")
    assert rest == "And 1 more: `xtreme-dag compare --study demo`."
    assert answer_lines(comparisons[:1]) == [first, second]
    another = replace(comparisons[-1], condition="permuted")
    assert answer_lines([*comparisons, another], 3)[3] == "And 5 more: `xtreme-dag compare --study demo`."
    unnamed = [replace(one, named=False) for one in comparisons]
    assert [line.split()[0] for line in answer_lines(unnamed)] == ["mixed", "none", "Control:"]
    assert answer_lines([]) == []
