"""Averages leave out the languages of supervision: the same languages for every condition."""

import duckdb
import pytest

from tests.wiring.small_studies import small
from xtreme_dag.program.publish import land_study
from xtreme_dag.results.compare import compare_conditions
from xtreme_dag.wiring.build import build


def test_averages_without_source_languages(bench):
    conditions = {"en": None, "qaa": {"source_language": "qaa"}}
    study = small(conditions, study="sources", languages=["en", "qaa", "qac"])
    bench.run(study, "evaluate")
    land_study(bench.home, study, build(study), bench.keys)
    with duckdb.connect(str(bench.home.results), read_only=True) as connection:
        values = {
            (condition, language): value
            for condition, language, value in connection.execute(
                "SELECT condition, language, value FROM per_language WHERE study = 'sources' AND split = 'test'"
            ).fetchall()
        }
        averages = connection.execute(
            "SELECT condition, value, languages FROM transfer_average WHERE study = 'sources'"
        )
        assert {row[0]: row[1:] for row in averages.fetchall()} == {
            name: (pytest.approx(values[name, "qac"]), 1) for name in conditions
        }
        gaps = connection.execute("SELECT condition, source_value, gap FROM transfer_gap WHERE study = 'sources'")
        for condition, source, gap in gaps.fetchall():
            others = [values[condition, code] for code in ("en", "qaa", "qac") if code != condition]
            assert source == pytest.approx(values[condition, condition])
            assert gap == pytest.approx(source - sum(others) / 2)
    (compared,) = compare_conditions(bench.home, study="sources", resamples=200)
    assert {effect.language: effect.part for effect in compared.languages} == {
        "en": "seen",
        "qaa": "seen",
        "qac": "unseen",
    }
    assert compared.overall.value == pytest.approx(values["qaa", "qac"])
    assert "the languages of supervision are left out: en qaa" in compared.notes
    (asked,) = compare_conditions(bench.home, study="sources", resamples=200, languages=["en", "qac"])
    assert [effect.language for effect in asked.languages] == ["en", "qac"]


def test_a_study_in_its_source_languages_alone_compares_those(bench):
    study = small({"en": None, "qaa": {"source_language": "qaa"}}, study="inside", languages=["en", "qaa"])
    bench.run(study, "evaluate")
    land_study(bench.home, study, build(study), bench.keys)
    (compared,) = compare_conditions(bench.home, study="inside", resamples=200)
    assert [effect.language for effect in compared.languages] == ["en", "qaa"]
