"""A schedule makes a run, and a worker runs it."""

import pytest

from flows._drive import own_name
from tests import servers
from tests.flows.deployments import asked, ended
from tests.flows.test_deploy import answer
from tests.servers import until

pytestmark = pytest.mark.xdist_group("prefect")


@pytest.fixture
def place(timed):
    return timed[0]


@pytest.mark.slow
def test_a_schedule_makes_a_run_and_an_override_has_a_study_name_of_its_own(place, start, prefect_api, timed):
    """The scheduler's statements are the ones that fail with SQLAlchemy 2.1."""
    _, row = timed
    of_it = {"flow_runs": {"deployment_id": {"any_": [row["id"]]}}, "sort": "EXPECTED_START_TIME_ASC"}
    runs = until(lambda: servers.post(f"{prefect_api}/flow_runs/filter", json=of_it).json(), 60)
    assert all(run["auto_scheduled"] for run in runs)
    start("prefect", "worker", "start", "--pool", "on-schedule", api=prefect_api)
    end = ended(prefect_api, runs[0]["id"])
    assert end["type"] == "COMPLETED", end["message"]

    overrides = ["seeds=[1]"]  # all of whose stages the scheduled run has made
    end = ended(prefect_api, asked(prefect_api, row, parameters={"overrides": overrides}))
    assert end["type"] == "COMPLETED", end["message"]
    found = answer("sql", "SELECT DISTINCT study, seed FROM scores", "--format", "json", "--home", place / "home")
    own = own_name("timed", overrides)
    assert sorted((each["study"], each["seed"]) for each in found) == [("timed", 1), ("timed", 2), (own, 1)]
