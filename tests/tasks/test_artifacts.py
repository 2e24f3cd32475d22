"""What a run shows in Prefect's UI, on a real server."""

import logging

import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks._artifacts import artifact_key, show_report, show_table
from tests import servers
from xtreme_dag.report.short import Short

pytestmark = pytest.mark.xdist_group("prefect")
SHORT = Short(
    answer=[],
    markdown="## Does it work?\n\n- mixed beats none by 2.0 points.\n",
    table=[{"condition": "mixed", "task": "xnli", "difference": 2.0, "low": float("nan"), "verdict": "better"}],
)


def artifacts(api, flow_run):
    query = {"artifacts": {"flow_run_id": {"any_": [str(flow_run)]}}}
    return {row["key"]: row for row in servers.post(f"{api}/artifacts/filter", json=query).raise_for_status().json()}


def run_in_a_flow(api, work):
    @flow(name="artifacts")
    def shows():
        work()
        return "done"

    with temporary_settings({PREFECT_API_URL: api}):
        state = shows(return_state=True)
        assert state.result() == "done"
        return artifacts(api, state.state_details.flow_run_id)


@pytest.mark.parametrize(
    ("study", "key"), [("demo", "report-demo"), ("real_small", "report-real-small"), ("a+", "report-a")]
)
def test_keys_are_what_prefect_takes(study, key):
    assert artifact_key("report", study) == key


def test_the_report_in_short_and_a_table_of_differences(prefect_api):
    found = run_in_a_flow(prefect_api, lambda: show_report("real_small+x", SHORT, "/home/reports/x.html"))
    assert set(found) == {"report-real-small-x", "differences-real-small-x"}
    text, table = found["report-real-small-x"], found["differences-real-small-x"]
    assert text["type"] == "markdown" and text["data"].startswith(SHORT.markdown)
    assert "/home/reports/x.html" in text["data"] and text["description"] == "Report of real_small+x"
    assert table["type"] == "table" and '"verdict": "better"' in table["data"] and '"low": null' in table["data"]


def test_a_report_without_comparisons_has_no_table(prefect_api):
    short = Short(markdown="## Does it work?\n", answer=[], table=[])
    assert set(run_in_a_flow(prefect_api, lambda: show_report("alone", short, "x.html"))) == {"report-alone"}


def test_what_the_server_does_not_take_fails_nothing(prefect_api, caplog):
    with caplog.at_level(logging.WARNING):
        found = run_in_a_flow(prefect_api, lambda: show_table("outcome", "demo", [{"cell": object()}], "A table"))
    assert found == {}
    assert any("not shown in Prefect: outcome-demo (TypeError" in record.getMessage() for record in caplog.records)
