"""The page of questions: each one's SQL runs and has an answer."""

import re

import pytest

from xtreme_dag.core.home import Home
from xtreme_dag.results.landing import land
from xtreme_dag.results.query import reader, run_query


def questions(repository):
    text = (repository / "docs" / "questions.md").read_text(encoding="utf-8")
    return re.findall(r"^## (\d+\..*?)$.*?```sql\n(.*?)```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def landed(tmp_path_factory):
    from tests.results.synthetic_study import make_study

    home = tmp_path_factory.mktemp("questions") / "home"
    tasks = {"xnli": "accuracy", "udpos": "tagging", "xquad": "answers", "tatoeba": "accuracy"}
    languages = ("en", "de", "sw", "yo", "ar", "th")
    land(Home(home), *make_study(home, tasks=tasks, languages=languages, n=30).arguments)
    return home


def test_there_are_fifteen_questions(repository):
    assert [int(title.split(".")[0]) for title, _ in questions(repository)] == list(range(1, 16))


@pytest.mark.parametrize("number", range(1, 16))
def test_every_question_has_an_answer(repository, landed, number):
    _, sql = questions(repository)[number - 1]
    with reader(Home(landed)) as connection:
        table = run_query(connection, sql)
    assert table.num_rows > 0
    empty = [name for name in table.column_names if table[name].null_count == table.num_rows]
    assert empty == [], f"nothing in {empty}"
