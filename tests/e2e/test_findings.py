"""The page of findings says what is kept of the studies, and what is kept is what SQL and `compare` say."""

import importlib.util
import json

import pytest

from tests.results.synthetic_study import make_study
from xtreme_dag.core.home import Home
from xtreme_dag.results.compare import compare_conditions
from xtreme_dag.results.landing import land
from xtreme_dag.results.levels import levels
from xtreme_dag.results.query import reader


@pytest.fixture(scope="module")
def findings(repository):
    spec = importlib.util.spec_from_file_location("findings", repository / "docs" / "_site" / "findings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_tables_of_what_is_kept(findings, repository):
    page = (repository / "docs" / "findings.md").read_text()
    files = sorted(findings.FOLDER.glob("*.json"))
    for path in files:
        found = json.loads(path.read_text())
        missing = [name for name, text in findings.tables(found).items() if text not in page]
        assert not missing, f"findings.md lacks these tables of {path.name}: {missing}"
        assert found["comparisons"][0]["sentence"] in " ".join(page.split())


def test_what_is_kept_is_what_the_results_say(findings, tmp_path):
    made = make_study(tmp_path, tasks={"xnli": "accuracy", "udpos": "tagging"}, n=40, splits=("test",))
    land(Home(tmp_path), *made.arguments)
    found = json.loads(json.dumps(findings.kept(tmp_path, "demo", languages=True)))
    with reader(Home(tmp_path), predictions=False) as connection:
        rows = connection.execute(
            "SELECT task, condition, round(avg(value), 6) FROM per_language"
            " WHERE language <> 'en' AND split = 'test' AND (task, metric) IN (SELECT (task, metric) FROM scores WHERE is_primary) GROUP BY ALL"
        ).fetchall()
    assert {(row["task"], row["condition"]): row["others"] for row in found["scores"]} == {
        (task, condition): value for task, condition, value in rows
    }
    comparisons = compare_conditions(Home(tmp_path))
    assert [one["sentence"] for one in found["comparisons"]] == [one.sentence for one in comparisons]
    tables = findings.tables(found)
    for row in comparisons[0].rows:
        assert f"{row.delta:+.1f} | {row.low:+.1f} to {row.high:+.1f}" in tables["effects"]
    by_language = {
        (row["task"], row["language"], row["condition"], row["metric"]): row["value"] for row in found["languages"]
    }
    with reader(Home(tmp_path), predictions=False) as connection:
        rows = connection.execute(
            "SELECT task, language, condition, metric, value FROM per_language WHERE split = 'test'"
        ).fetchall()
    assert all(
        by_language[task, language, condition, metric] == round(value, 6)
        for task, language, condition, metric, value in rows
    )
    assert [one.to_json() for one in levels(Home(tmp_path))[1]] == found["levels"]
    for row in found["levels"]:
        assert f"({row['low']:+.1f} to {row['high']:+.1f})" in tables["levels"]
    assert len({line.count("|") for line in tables["scores"].splitlines()}) == 1
