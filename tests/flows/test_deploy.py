"""`deploy` on a real server: what it puts there, and that a worker runs it."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner

from tests import servers
from tests.flows import tiny_study
from tests.flows.deployments import asked, deployed, ended
from xtreme_dag.program.cli import program

# The schedule of `timed` fires while these and other tests go on; test_schedule.py comes after them.
pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("timed")]
# The override of a run leaves one of its seeds.
STUDY = {**tiny_study.STUDY, "study": "scheduled", "seeds": [1, 2]}
FLOWS = ("study", "prepare_data", "train_intermediate", "train_target", "evaluate")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scheduled")
    (folder / "scheduled.yaml").write_text(yaml.safe_dump(STUDY))
    return folder


def deploy(folder, repository, api, *arguments):
    environment = {**os.environ, "PREFECT_API_URL": api, "PYTHONPATH": str(repository)}
    return subprocess.run(
        [sys.executable, "-m", "xtreme_dag", "deploy", "scheduled.yaml", "--home", "home", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip


def answer(*arguments):
    """What a command answers as JSON."""
    done = CliRunner().invoke(program, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def there(api):
    found = servers.post(f"{api}/deployments/filter", json={"deployments": {"name": {"any_": ["scheduled"]}}}).json()
    flows = {row["id"]: row["name"] for row in servers.post(f"{api}/flows/filter", json={}).json()}
    return {flows[row["flow_id"]]: row for row in found}


def test_every_flow_is_there_with_its_form_and_the_study_with_its_schedule(place, repository, prefect_api):
    done = deploy(
        place, repository, prefect_api, "--cron", "0 2 * * *", "--timezone", "Europe/Zurich", "--retries", "1", "--json"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["deployments"] == [f"{name}/scheduled" for name in FLOWS] and told["pool_type"] == "process"
    assert told["pool"] == "xtreme-dag"
    found = there(prefect_api)
    assert set(found) == set(FLOWS)
    [schedule] = found["study"]["schedules"]
    assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == ("0 2 * * *", "Europe/Zurich")
    assert not any(found[name]["schedules"] for name in FLOWS if name != "study")
    for row in found.values():
        assert row["parameters"]["study_file"] == str(place / "scheduled.yaml")
        assert row["parameters"]["home"] == str(place / "home")
        form = row["parameter_openapi_schema"]["properties"]
        assert sorted(form, key=lambda name: form[name]["position"])[:4] == [
            "study_file",
            "overrides",
            "force",
            "device",
        ]
        assert "cuda:0" in form["device"]["enum"] and form["study_file"]["enum"] == [str(place / "scheduled.yaml")]
        assert all(field["description"] for field in form.values())
        assert row["global_concurrency_limit"] is None
        assert row["job_variables"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == "30"
        assert row["job_variables"]["env"]["PREFECT_FLOWS_DEFAULT_RETRIES"] == "1"
        assert row["job_variables"]["working_dir"] == str(place)
    deployed(prefect_api, place / "scheduled.yaml", "home", pool="nightly")
    # What an earlier version put there goes: a limit of runs is a lease in the server's memory.
    limited = servers.patch(f"{prefect_api}/deployments/{found['study']['id']}", json={"concurrency_limit": 1})
    limited.raise_for_status()
    assert there(prefect_api)["study"]["global_concurrency_limit"]["limit"] == 1
    again = deploy(place, repository, prefect_api, "--threads", "2", "--pool", "nightly")
    assert (
        again.returncode == 0 and "deployed study/scheduled\n" in again.stdout and "new work pool" not in again.stdout
    )
    found = there(prefect_api)
    assert found["study"]["global_concurrency_limit"] is None
    assert len(found) == len(FLOWS) and found["study"]["parameters"]["threads"] == 2
    assert {row["work_pool_name"] for row in found.values()} == {"nightly"}
    # Deployed several times, one automation marks the runs that have no heartbeat.
    automations = servers.post(f"{prefect_api}/automations/filter", json={}).json()
    assert [row["name"] for row in automations].count("xtreme-dag: dead runs") == 1


def test_what_the_form_does_not_offer_is_refused_at_submission(place, prefect_api):
    row = deployed(prefect_api, place / "scheduled.yaml", "home")
    address = f"{prefect_api}/deployments/{row['id']}/create_flow_run"
    for wrong in (
        {"overrides": ["sedes=[1,2]"]},
        {"overrides": ["seeds"]},
        {"device": "gpu"},
        {"study_file": "/etc/passwd"},
        {"workers": -1},
        {"mirror": "s3://key:secret@bucket/folder"},
        {"settings": {"workers": 1}},
    ):
        assert servers.post(address, json={"parameters": wrong}).status_code == 409, wrong
    for right in ({"overrides": ["seeds=[1,2]", "recipe.target.default.epochs=2"]}, {"mirror": "sftp://ann@host/x"}):
        run = asked(prefect_api, row, parameters=right)
        assert servers.get(f"{prefect_api}/flow_runs/{run}").json()["parameters"]["home"] == str(place / "home")
        servers.delete(f"{prefect_api}/flow_runs/{run}").raise_for_status()


def test_a_password_is_no_parameter(place, repository, prefect_api):
    done = deploy(place, repository, prefect_api, "--mirror", "s3://key:secret@bucket/folder")
    assert done.returncode == 1 and "names a password" in done.stderr and "secret" not in done.stderr


def test_a_worker_runs_it(place, prefect_api, worker_of):
    deployed(prefect_api, place / "scheduled.yaml", "home")
    run = asked(prefect_api, there(prefect_api)["prepare_data"], name="for Ann")
    worker_of("scheduled")
    state = ended(prefect_api, run)
    assert (state["type"], state["name"]) == ("COMPLETED", "Completed"), state["message"]
    assert servers.get(f"{prefect_api}/flow_runs/{run}").json()["name"] == "for Ann"  # a typed name stays
    plan = answer("plan", place / "scheduled.yaml", "--home", place / "home", "--json")
    status = {stage["kind"]: stage["status"] for stage in plan["stages"]}
    assert (status["prepare"], status["encode"], status["target"]) == ("cached", "cached", "new")


def test_a_schedule_that_is_none_is_refused(place, repository, prefect_api):
    done = deploy(place, repository, prefect_api, "--cron", "every day")
    assert done.returncode == 1 and "every day" in done.stderr and len(done.stderr.splitlines()) <= 2, done.stderr
    with pytest.raises(ValueError, match="Mars/Base"):
        deployed(prefect_api, place / "scheduled.yaml", "home", cron="0 2 * * *", timezone="Mars/Base")


def test_without_a_server_it_says_what_to_do(place, repository, tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-m", "xtreme_dag", "deploy", "scheduled.yaml", "--home", "home"],
        cwd=place, env={**environment, "PREFECT_HOME": str(tmp_path), "PYTHONPATH": str(repository)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "no Prefect API is configured" in done.stderr and "PREFECT_API_URL" in done.stderr
