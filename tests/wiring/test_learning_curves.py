"""The shipped few-shot study in a small form: its curves land, and are drawn and tabled."""

import json

import pytest
from scipy import stats

from tests.wiring.small_studies import Bench
from xtreme_dag.program.publish import land_study
from xtreme_dag.report.content import read_content
from xtreme_dag.report.html import page
from xtreme_dag.report.paper import figures
from xtreme_dag.report.paper_tables import TABLES
from xtreme_dag.report.table_forms import written
from xtreme_dag.results.query import reader
from xtreme_dag.study.file import Study, load_study
from xtreme_dag.wiring.build import build

SMALL = [
    "data.miniworld={seed: 7, languages: [en, qaa, qad, qag], train: 60, select: 12, test: 8}",
    "model.pretrain={kind: planted, steps: 2, sentences: 20}", "seeds=[1, 2]", "languages=[en, qaa, qag]",
    "recipe={name: quick, target: {default: {epochs: 1}}}", "intermediate.few250.target.examples={qaa: 60, qad: 60}",
]  # fmt: skip
COUNTS = {"zero_shot": 0, "few10": 10, "few50": 50, "few250": 60}


@pytest.fixture(scope="module")
def study(bench: Bench, repository) -> Study:
    study = load_study(repository / "studies" / "mini_few_shot.yaml", SMALL)
    bench.run(study, "evaluate")
    land_study(bench.home, study, build(study), bench.keys)
    return study


def test_the_view_has_a_point_for_each_number_of_examples(bench, study):
    with reader(bench.home) as connection:
        rows = connection.execute(
            "SELECT language, condition, examples, curve, value, by_seed, seeds, low, high FROM learning_curves"
            " WHERE study = 'mini_few_shot' AND split = 'test' ORDER BY ALL"
        ).fetchall()
        scores = connection.execute(
            "SELECT language, condition, list(value ORDER BY seed) FROM scores WHERE study = 'mini_few_shot'"
            " AND split = 'test' AND is_primary GROUP BY ALL"
        ).fetchall()
    by_seed = {(language, condition): values for language, condition, values in scores}
    # few250 adds nothing of qag here, and translation is no number of examples.
    expected = {("qaa", name) for name in COUNTS} | {("qag", name) for name in COUNTS if name != "few250"}
    assert {row[:2] for row in rows} == expected
    for language, condition, examples, curve, value, values, seeds, low, high in rows:
        assert (examples, curve, seeds) == (COUNTS[condition], "zero_shot", 2)
        assert values == by_seed[language, condition] and value == pytest.approx(sum(values) / 2)
        half = stats.t.ppf(0.975, 1) * stats.sem(values)
        if half:
            assert low == pytest.approx(max(value - half, 0), abs=1e-3)
            assert high == pytest.approx(min(value + half, 100), abs=1e-3)
        else:
            assert low == value == high


def test_one_seed_has_no_interval(bench, study, repository):
    one = load_study(repository / "studies" / "mini_few_shot.yaml", [*SMALL, "seeds=[1]", "study=one_seed"])
    bench.run(one, "evaluate")
    land_study(bench.home, one, build(one), bench.keys)
    with reader(bench.home) as connection:
        sql = "SELECT DISTINCT seeds, low, high FROM learning_curves WHERE study = 'one_seed'"
        assert connection.execute(sql).fetchall() == [(1, None, None)]


def test_these_languages_are_seen_and_translated_tests_are_not(bench, study):
    with reader(bench.home) as connection:
        rows = connection.execute(
            "SELECT DISTINCT condition, language, supervision FROM scores WHERE study = 'mini_few_shot' AND language <> 'en'"
        ).fetchall()
    words = {row[:2]: row[2] for row in rows}
    assert {words[name, "qag"] for name in ("few10", "few50", "translate_train")} == {"same task"}
    assert {words[name, "qag"] for name in ("zero_shot", "few250", "translate_test")} == {"none"}


def test_the_report_the_figure_and_the_table_show_it(bench, study):
    content = read_content(bench.home, "mini_few_shot", resamples=100)
    text = page(content)
    assert '<section id="learning"' in text and 'id="chart-learning"' in text
    spec = json.dumps(figures(bench.home, content)["learning"])
    assert "var(--" not in spec and '"qaa"' not in spec and "xnli, qaa" in spec
    lines = written(TABLES["learning-curves"](content, 1), "csv").splitlines()
    assert lines[0] == "task,language,curve,0,0 low,0 high,10,10 low,10 high,50,50 low,50 high,60,60 low,60 high"
    assert [line.split(",")[:3] for line in lines[1:]] == [["xnli", "qaa", "zero_shot"], ["xnli", "qag", "zero_shot"]]
    assert lines[2].endswith(",,,")
