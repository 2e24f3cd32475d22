"""`deploy` on a real server: what it puts there, and that a worker runs it."""

import json
import os
import subprocess
import sys
import time

import pytest
import yaml

from tests import servers
from tests.flows import tiny_study

pytestmark = pytest.mark.xdist_group("prefect")
STUDY = {**tiny_study.STUDY, "study": "scheduled"}
FLOWS = ("study", "prepare_data", "train_intermediate", "train_target", "evaluate")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scheduled")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    return folder


def call(folder, repository, api, *arguments):
    environment = {**os.environ, "PREFECT_API_URL": api, "PYTHONPATH": str(repository)}
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )


def deploy(folder, repository, api, *arguments):
    return call(folder, repository, api, "xtreme_dag", "deploy", "study.yaml", "--home", "home", *arguments)


def there(api):
    found = servers.post(f"{api}/deployments/filter", json={"deployments": {"name": {"any_": ["scheduled"]}}}).json()
    flows = {row["id"]: row["name"] for row in servers.post(f"{api}/flows/filter", json={}).json()}
    return {flows[row["flow_id"]]: row for row in found}


def test_every_flow_is_there_with_its_form_and_the_study_with_its_schedule(place, repository, prefect_api):
    done = deploy(place, repository, prefect_api, "--cron", "0 2 * * *", "--timezone", "Europe/Zurich", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["deployments"] == [f"{name}/scheduled" for name in FLOWS] and told["pool_type"] == "process"
    found = there(prefect_api)
    assert set(found) == set(FLOWS)
    [schedule] = found["study"]["schedules"]
    assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == ("0 2 * * *", "Europe/Zurich")
    assert not any(found[name]["schedules"] for name in FLOWS if name != "study")
    for row in found.values():
        assert row["parameters"]["study_file"] == str(place / "study.yaml")
        assert row["parameters"]["home"] == str(place / "home")
        form = row["parameter_openapi_schema"]["properties"]
        assert sorted(form, key=lambda name: form[name]["position"])[:4] == [
            "study_file",
            "overrides",
            "force",
            "device",
        ]
        assert "cuda:0" in form["device"]["enum"] and form["study_file"]["enum"] == [str(place / "study.yaml")]
        assert all(field["description"] for field in form.values())
        assert row["global_concurrency_limit"] is None
        assert row["job_variables"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == "30"
        assert row["job_variables"]["working_dir"] == str(place)
    # Deployed twice and more, one automation marks the runs that have no heartbeat.
    automations = servers.post(f"{prefect_api}/automations/filter", json={}).json()
    assert [row["name"] for row in automations].count("xtreme-dag: dead runs") == 1
    # What an earlier version put there goes: a limit of runs is a lease in the server's memory.
    limited = servers.patch(f"{prefect_api}/deployments/{found['study']['id']}", json={"concurrency_limit": 1})
    limited.raise_for_status()
    assert there(prefect_api)["study"]["global_concurrency_limit"]["limit"] == 1
    again = deploy(place, repository, prefect_api, "--threads", "2")
    assert (
        again.returncode == 0 and "deployed study/scheduled\n" in again.stdout and "new work pool" not in again.stdout
    )
    found = there(prefect_api)
    assert found["study"]["global_concurrency_limit"] is None
    assert len(found) == len(FLOWS) and found["study"]["parameters"]["threads"] == 2


def asked(api, row, parameters):
    return servers.post(f"{api}/deployments/{row['id']}/create_flow_run", json={"parameters": parameters})


def test_what_the_form_does_not_offer_is_refused_at_submission(place, repository, prefect_api):
    assert deploy(place, repository, prefect_api).returncode == 0
    row = there(prefect_api)["study"]
    for wrong in (
        {"overrides": ["sedes=[1,2]"]},
        {"overrides": ["seeds"]},
        {"device": "gpu"},
        {"study_file": "/etc/passwd"},
        {"workers": -1},
        {"mirror": "s3://key:secret@bucket/folder"},
        {"settings": {"workers": 1}},
    ):
        assert asked(prefect_api, row, wrong).status_code == 409, wrong
    for right in ({"overrides": ["seeds=[1,2]", "recipe.target.default.epochs=2"]}, {"mirror": "sftp://ann@host/x"}):
        run = asked(prefect_api, row, right).raise_for_status().json()
        assert run["parameters"]["home"] == str(place / "home")
        servers.delete(f"{prefect_api}/flow_runs/{run['id']}").raise_for_status()


def test_a_password_is_no_parameter(place, repository, prefect_api):
    done = deploy(place, repository, prefect_api, "--mirror", "s3://key:secret@bucket/folder")
    assert done.returncode == 1 and "names a password" in done.stderr and "secret" not in done.stderr


def test_an_override_that_changes_results_has_a_study_name_of_its_own(place, repository, prefect_api):
    assert deploy(place, repository, prefect_api, "--pool", "overrides", "--home", "other").returncode == 0
    row = there(prefect_api)["study"]
    run = asked(prefect_api, row, {"overrides": ["recipe.target.default.epochs=2"]}).raise_for_status().json()
    done = call(place, repository, prefect_api, "prefect", "worker", "start", "--pool", "overrides", "--run-once")
    state = servers.get(f"{prefect_api}/flow_runs/{run['id']}").json()["state"]
    assert state["type"] == "COMPLETED", done.stdout + done.stderr
    query = ["sql", "SELECT DISTINCT study FROM scores", "--format", "json", "--home", "other"]
    found = json.loads(call(place, repository, prefect_api, "xtreme_dag", *query).stdout)
    assert {"study": "scheduled+recipe.target.default.epochs=2"} in found
    assert {"study": "scheduled"} not in found
    servers.delete(f"{prefect_api}/flow_runs/{run['id']}").raise_for_status()


def test_a_worker_runs_it(place, repository, prefect_api):
    assert deploy(place, repository, prefect_api).returncode == 0
    row = there(prefect_api)["prepare_data"]
    run = (
        servers.post(f"{prefect_api}/deployments/{row['id']}/create_flow_run", json={"name": "for Ann"})
        .raise_for_status()
        .json()
    )
    done = call(
        place, repository, prefect_api, "prefect", "worker", "start", "--pool", "xtreme-dag", "--run-once"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = servers.get(f"{prefect_api}/flow_runs/{run['id']}").json()
    assert (run["state"]["type"], run["state"]["name"]) == ("COMPLETED", "Completed"), done.stdout + done.stderr
    assert run["name"] == "for Ann"  # a typed name stays
    plan = call(place, repository, prefect_api, "xtreme_dag", "plan", "study.yaml", "--home", "home", "--json")
    status = {stage["kind"]: stage["status"] for stage in json.loads(plan.stdout)["stages"]}
    assert (status["prepare"], status["encode"], status["target"]) == ("cached", "cached", "new")


def test_a_schedule_makes_a_run_and_a_worker_runs_it(place, repository, prefect_api):
    """The scheduler's statements are the ones that fail with SQLAlchemy 2.1."""
    done = deploy(place, repository, prefect_api, "--pool", "on-schedule", "--cron", "* * * * *")
    assert done.returncode == 0, done.stderr
    row = there(prefect_api)["study"]
    asked = {"flow_runs": {"deployment_id": {"any_": [row["id"]]}}, "sort": "EXPECTED_START_TIME_ASC"}
    end = time.monotonic() + 60
    while not (runs := servers.post(f"{prefect_api}/flow_runs/filter", json=asked).json()) and time.monotonic() < end:
        time.sleep(0.5)
    assert runs and all(run["auto_scheduled"] for run in runs)
    worker = ["worker", "start", "--pool", "on-schedule", "--run-once", "--limit", "1", "--prefetch-seconds", "70"]
    done = call(place, repository, prefect_api, "prefect", *worker)
    assert done.returncode == 0, done.stderr
    state = servers.get(f"{prefect_api}/flow_runs/{runs[0]['id']}").json()["state"]
    assert state["type"] == "COMPLETED", state["message"]
    servers.patch(f"{prefect_api}/deployments/{row['id']}", json={"paused": True}).raise_for_status()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--cron", "every day"), "every day"), (("--cron", "0 2 * * *", "--timezone", "Mars/Base"), "Mars/Base")],
)
def test_a_schedule_that_is_none_is_refused(place, repository, prefect_api, arguments, words):
    done = deploy(place, repository, prefect_api, *arguments)
    assert done.returncode == 1 and words in done.stderr and len(done.stderr.splitlines()) <= 2, done.stderr


def test_without_a_server_it_says_what_to_do(place, repository, tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-m", "xtreme_dag", "deploy", "study.yaml", "--home", "home"],
        cwd=place, env={**environment, "PREFECT_HOME": str(tmp_path), "PYTHONPATH": str(repository)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "no Prefect API is configured" in done.stderr and "PREFECT_API_URL" in done.stderr
