"""`verify-resume` on a study of one target: refuses what cannot be verified, and proves what can."""

import json

import pytest
import yaml
from click.testing import CliRunner

from xtreme_dag.core.home import Home
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.local import run_local
from xtreme_dag.engine.pool import WorkerPool
from xtreme_dag.program.commands.verify_resume import command
from xtreme_dag.study.file import load_study
from xtreme_dag.wiring.build import build

# With what a resumed run must not lose: dropout's draws, and the best model so far.
TRAINING = {"epochs": 2, "batch_size": 8, "examples": 48, "dropout": 0.1, "select_every": 3}
STUDY = {
    "study": "resume",
    "data": {"miniworld": {"seed": 1, "languages": ["en"], "train": 64, "select": 8, "test": 8}},
    "model": {"pretrain": {"kind": "planted", "seed": 1, "steps": 2}},
    "seeds": [1],
    "intermediate": {"none": {}},
    "targets": ["xnli"],
    "recipe": {"name": "quick", "target": {"default": TRAINING}},
    "compare": {"baseline": "none"},
}
TARGET = "target[xnli | none | seed 1]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("resume")
    (place / "study.yaml").write_text(yaml.safe_dump(STUDY))
    return place


def invoke(folder, *arguments):
    return CliRunner().invoke(command, [str(folder / "study.yaml"), "--home", str(folder / "home"), *arguments])


def test_what_cannot_be_verified_is_said(folder):
    answer = invoke(folder, "--stage", TARGET)
    assert "run the study first" in str(answer.exception)
    graph = build(load_study(folder / "study.yaml")).graph
    prepare = next(stage.name for stage in graph if stage.kind == "prepare")
    assert "does not train" in str(invoke(folder, "--stage", prepare).exception)
    assert "no stage" in str(invoke(folder, "--stage", "target[xnly | none | seed 1]").exception)


@pytest.mark.slow
def test_a_target_that_is_trained_is_proved(folder):
    home = Home(folder / "home")
    graph = build(load_study(folder / "study.yaml")).graph
    with WorkerPool(1, home.root / "logs") as pool:
        outcomes = run_local(graph.part({TARGET}), Executor(home, "resume", pool), side_by_side=1)
    assert outcomes[TARGET] == "succeeded", outcomes
    answer = invoke(folder, "--stage", TARGET, "--kills", "2", "--json")
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.output)
    assert found["equal"] and found["equal_to_stored"] and found["differing"] == []
    assert "encoder/model.safetensors" in found["files"]
    (report,) = (file for file in home.store.rglob("training.json") if json.loads(file.read_text())["selection"])
    assert [look["step"] for look in json.loads(report.read_text())["selection"]] == [3, 6, 9, 12]
    assert found["steps"] == 12 and len(found["killed_after"]) == len(found["resumed"]) == 2
