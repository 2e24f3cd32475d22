"""Two processes train as one: the same loss curve at the same global batch; a failure is the failed process's own."""

import json
import os
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.training.worlds import LABELS, LABELS_OF, context, digest, events, make_base, make_encoded, run_stage
from xtreme_dag.core.errors import UserError
from xtreme_dag.training.launch import _first_failure, visible_devices
from xtreme_dag.training.stages import target

RECIPE = {"learning_rate": 1e-3, "batch_size": 27, "epochs": 2, "micro_batch_tokens": 300,
          "weight_decay": 0.1, "select_every": 5, "select_examples": 20}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    base = make_base(folder / "base")
    heads = ("classification", "tagging", "mlm", "dual")
    tables = {head: make_encoded(folder / head, head, 41, base) for head in heads}
    return base, tables, make_encoded(folder / "dev", "classification", 30, base, seed=1, split="dev")


def mixture(world):
    """Every kind of unit in one run, two tasks of unequal size in a step at times, selection on the way."""
    base, tables, dev = world
    tasks = [
        {"task": head, "head": head, "labels": LABELS_OF.get(head), "parts": [{"dataset": head, "language": "en"}]}
        for head in tables
    ]
    inputs = {"model": base, "select/classification": dev}
    return tasks, inputs | {f"train/{head}/en": table for head, table in tables.items()}


def report(folder):
    return json.loads((folder / "out" / "training.json").read_text())


@pytest.fixture
def aborted_on_the_way_out(tmp_path, monkeypatch):
    """Each process that trains together with others would be aborted on its way out, as torch does at times."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import atexit, os\nif 'TORCHELASTIC_RUN_ID' in os.environ: atexit.register(os.abort)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "mixing"), [("ddp", "step"), ("fsdp", "within")])
@pytest.mark.usefixtures("aborted_on_the_way_out")
def test_two_processes_equal_one_and_resume(world, tmp_path, strategy, mixing):
    """Batches of 27: the last ones of a task hold one example, so one process has none."""
    tasks, inputs = mixture(world)
    recipe = {**RECIPE, "mixing": mixing, "strategy": strategy}
    params = {"seed": 2, "mixture": tasks}
    run_stage("intermediate", {**params, "recipe": {**recipe, "devices": 1}}, inputs, tmp_path / "one")
    shared = {**params, "recipe": {**recipe, "devices": 2}}
    run_stage("intermediate", shared, inputs, tmp_path / "two", log_steps=3, checkpoint_steps=5)
    one, two = report(tmp_path / "one"), report(tmp_path / "two")
    assert one["steps_done"] == two["steps_done"] > 10
    np.testing.assert_allclose(two["loss_curve"], one["loss_curve"], rtol=2e-4, atol=2e-5)
    assert [look["step"] for look in two["selection"]] == [look["step"] for look in one["selection"]]
    for part in ("encoder/model.safetensors", "heads.safetensors"):
        mine, theirs = load_file(tmp_path / "one" / "out" / part), load_file(tmp_path / "two" / "out" / part)
        assert mine.keys() == theirs.keys()
        for name in mine:
            np.testing.assert_allclose(theirs[name], mine[name], rtol=1e-2, atol=2e-4, err_msg=name)
    seen = [event for event in events(tmp_path / "two") if event["event"] == "progress"]
    assert [event["done"] for event in seen[:2]] == [3, 6], "the first process's progress is passed on"
    whole = digest(tmp_path / "two" / "out")
    run_stage("intermediate", shared, inputs, tmp_path / "two", log_steps=3, checkpoint_steps=5)
    assert digest(tmp_path / "two" / "out") == whole
    last = (one["steps"] - 1) // 5 * 5
    assert any(f"resumed at step {last} of" in event.get("message", "") for event in events(tmp_path / "two"))


@pytest.mark.parametrize(
    ("ends", "words", "said"),
    [
        ({0: -signal.SIGABRT, 1: 1}, (0, 1), "process 1: the loss"),  # torch ended it on its way out
        ({0: -signal.SIGABRT, 1: 1}, (1,), "process 0 was killed (SIGABRT)"),
        ({0: 1, 1: -signal.SIGKILL}, (0,), "process 1 was killed (SIGKILL)"),
        ({0: -signal.SIGTERM, 1: 1}, (1,), "process 1: the loss"),
    ],
)
def test_the_error_is_that_of_the_process_that_failed_first(tmp_path, ends, words, said):
    for rank in words:
        failure = {"at": 9.0 - rank, "rank": rank, "what": "the loss is not finite", "where": "", "fix": ""}
        (tmp_path / f"failure-{rank}.json").write_text(json.dumps(failure))
    failures = {
        rank: SimpleNamespace(exitcode=code, signal_name=lambda code=code: signal.Signals(-code).name)
        for rank, code in ends.items()
    }
    assert said in str(_first_failure(tmp_path, failures))


def test_a_failed_process_fails_the_stage_with_its_own_error(world, tmp_path):
    base, tables, _ = world
    params = {"seed": 2, "task": "t", "dataset": "t", "head": "classification", "labels": LABELS,
              "recipe": {**RECIPE, "devices": 2, "learning_rate": 1e30, "warmup": 0.0, "max_grad_norm": 0.0}}  # fmt: skip
    with pytest.raises(UserError, match=r"process [01]: the loss is not finite"):
        target(params, {"model": base, "train": tables["classification"]}, context(tmp_path))


@pytest.mark.slow
def test_a_killed_process_is_named(world, tmp_path):
    """It cannot leave an error, and the other one fails for want of it."""
    base, tables, _ = world
    params = {"seed": 2, "task": "t", "dataset": "t", "head": "classification", "labels": LABELS,
              "recipe": {**RECIPE, "devices": 2, "epochs": 2_000, "select_every": 0}}  # fmt: skip
    surroundings = context(tmp_path, log_steps=1)

    def kill_the_second(event):
        if event["event"] == "progress":
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    command, names = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
                    if str(tmp_path).encode() in command and b"\0RANK=1\0" in b"\0" + names:
                        os.kill(int(process.name), signal.SIGKILL)

    surroundings = replace(surroundings, listen=kill_the_second)
    with pytest.raises(UserError, match=r"process 1 was killed \(SIGKILL\)"):
        target(params, {"model": base, "train": tables["classification"]}, surroundings)


def test_each_process_has_a_gpu_of_its_own():
    """What is leased is what is visible, in the names that the machine's own restriction gives them."""
    assert visible_devices("cpu", 2, None) == visible_devices("cuda", 2, None) == visible_devices("auto", 2, "3") == {}
    assert visible_devices("cuda:1,cuda:3", 2, None) == {"CUDA_VISIBLE_DEVICES": "1,3"}
    assert visible_devices("cuda:0,cuda:2", 2, "4,5,GPU-7f") == {"CUDA_VISIBLE_DEVICES": "4,GPU-7f"}
    with pytest.raises(UserError, match="asks for 2 devices and was given cuda:1"):
        visible_devices("cuda:1", 2, None)
