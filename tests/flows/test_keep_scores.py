"""A study that keeps its scores alone, through Prefect: weights go, nothing runs again, a later evaluation trains again."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from tests.flows.tiny_study import STUDY

pytestmark = pytest.mark.xdist_group("prefect")


def test_weights_go_during_the_run_and_come_back_for_a_later_evaluation(tmp_path, prefect_api):
    world = {**STUDY["data"]["miniworld"], "languages": ["en", "qaa"]}
    study = {**STUDY, "keep": "scores", "languages": ["en"], "data": {"miniworld": world}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XTREME_DAG", "PREFECT"))}

    def call(command, *arguments):
        study = [] if command in ("verify", "audit", "status") else [str(tmp_path / "study.yaml")]
        program = [sys.executable, "-m", "xtreme_dag", command, *study, *arguments, "--json", "--home", str(tmp_path)]
        done = subprocess.run(program, env={**kept, "PREFECT_API_URL": prefect_api}, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def weights():
        return list((tmp_path / "store" / "objects").rglob("*.safetensors"))

    first = call("run")
    assert first["stages"]["failed"] == 0 and first["dropped_bytes"] > 0
    assert len(weights()) == 2, "encoder and head of the model that was pretrained"
    assert call("verify")["dropped"] == 1 and call("audit")["models"] == 2
    assert [entry["kind"] for entry in call("status") if entry["dropped"]] == ["target"]
    again = call("run")
    assert (again["stages"]["succeeded"], again["dropped_bytes"]) == (0, 0)
    more = ["--set", "languages=[en, qaa]"]
    (target,) = [stage for stage in call("plan", *more)["stages"] if stage["kind"] == "target"]
    assert target["status"] == "stale" and "under the same key" in target["reasons"][0]
    later = call("run", *more)
    assert later["stages"]["failed"] == 0 and later["dropped_bytes"] == first["dropped_bytes"]
    (after,) = [stage for stage in call("plan", *more)["stages"] if stage["kind"] == "target"]
    assert (after["status"], after["key"]) == ("cached", target["key"])
    evaluated = [stage for stage in call("plan")["stages"] if stage["kind"] == "evaluate"]
    assert {stage["status"] for stage in evaluated} == {"cached"}, "the same bytes came back: nothing else ran"
