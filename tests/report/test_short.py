"""The short form for Prefect's UI."""

import json

from tests.results.synthetic_study import make_study
from xtreme_dag.core.home import Home
from xtreme_dag.report.content import read_content
from xtreme_dag.report.short import short_form
from xtreme_dag.results.landing import land


def test_question_answer_conditions_and_contracts(tmp_path):
    made = make_study(tmp_path, n=200, splits=("test",))
    land(Home(tmp_path), *made.arguments)
    short = short_form(read_content(Home(tmp_path), "demo", resamples=200))
    lines = short.markdown.splitlines()
    assert lines[0] == f"## {made.study.question}"
    assert lines[2].startswith("- english ") and lines[3].startswith("- mixed beats none by ")
    assert "| condition | average | over baseline | interval | in languages | udpos | xnli | xquad |" in lines
    assert lines[-1] == "1 of 2 data contracts hold."
    assert [row["task"] for row in short.table] == ["udpos", "xnli", "xquad", "all tasks"] * 2
    assert all(row["low"] < row["difference"] < row["high"] for row in json.loads(json.dumps(short.table)))


def test_nothing_to_compare(tmp_path):
    land(Home(tmp_path), *make_study(tmp_path, conditions={"none": 0.5}, n=20, splits=("test",)).arguments)
    short = short_form(read_content(Home(tmp_path), "demo", resamples=200))
    assert "Nothing is compared yet" in short.markdown and short.table == []
