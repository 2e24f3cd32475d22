"""`keep: scores` on a real Prefect server: weights go once their scores stand, and come back where they are needed."""

import copy
import time

import pytest
import yaml
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.study import study
from tests import servers
from tests.flows import tiny_study
from xtreme_dag.core.home import Home
from xtreme_dag.engine.store import DROPPED, Store

pytestmark = pytest.mark.xdist_group("prefect")


def logs_of(api, flow_run, words):
    """The lines of a flow run and its task runs that hold the words; the server needs a moment to record them."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        rows = servers.post(f"{api}/logs/filter", json={"logs": {"flow_run_id": {"any_": [flow_run]}}}).json()
        if found := [row["message"] for row in rows if words in row["message"]]:
            return found
        time.sleep(0.5)
    return []


def test_weights_go_and_come_back_with_the_same_key(tmp_path, prefect_api):
    path, home = tmp_path / "study.yaml", Home(tmp_path / "home")
    document = {**copy.deepcopy(tiny_study.STUDY), "study": "kept", "keep": "scores", "languages": ["en"]}
    document["data"]["miniworld"]["languages"] = ["en", "qaa"]
    store = Store(home.store)

    def run(languages):
        path.write_text(yaml.safe_dump({**document, "languages": languages}))
        with temporary_settings({PREFECT_API_URL: prefect_api}):
            state = study(str(path), home=str(home.root), workers=1, device="cpu", return_state=True)
        outcome = state.result()
        assert not outcome["stages"]["failed"] and not outcome["stages"]["not run"]
        targets = [record for record in store.records() if record.name.startswith("target[")]
        return outcome["stages"], targets, str(state.state_details.flow_run_id)

    _, (before,), _ = run(["en"])
    left = {file.name for file in store.artifact(before.digest).rglob("*") if file.is_file()}
    assert DROPPED in left and not any(name.endswith(".safetensors") for name in left)
    _, (after,), flow_run = run(["en", "qaa"])
    assert (after.key, after.digest) == (before.key, before.digest) and after != before
    assert logs_of(prefect_api, flow_run, "needed again")
    left = {file.name for file in store.artifact(after.digest).rglob("*") if file.is_file()}
    assert DROPPED in left and not any(name.endswith(".safetensors") for name in left)
