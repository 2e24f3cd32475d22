"""Averages leave out the languages of supervision: the same languages for every condition."""

import duckdb
import pytest
from small_studies import small

from xtreme_dag.results.publish import land_study
from xtreme_dag.stages.build import build


def test_averages_without_source_languages(bench):
    conditions = {"en": None, "qaa": {"source_language": "qaa"}}
    study = small(conditions, study="sources", languages=["en", "qaa", "qac"])
    bench.run(study, "evaluate")
    land_study(bench.home, study, build(study), bench.keys)
    with duckdb.connect(str(bench.home.results), read_only=True) as connection:
        values = {
            (condition, language): value
            for condition, language, value in connection.execute(
                "SELECT condition, language, value FROM per_language WHERE study = 'sources'"
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
