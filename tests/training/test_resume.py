"""A stage killed at any moment and started again ends with the bytes of an unbroken run."""

import multiprocessing
import random
import shutil
import threading
import time

import pytest

from tests.training.worlds import LABELS, LABELS_OF, TAGS, digest, events, make_base, make_encoded, run_stage
from xtreme_dag.engine.calls import PoolClosed, Request
from xtreme_dag.engine.pool import WorkerPool
from xtreme_dag.training.checkpoints import Checkpoints

KILLS = 8
RECIPE = {"learning_rate": 2e-3, "batch_size": 16, "select_every": 7, "select_examples": 40, "micro_batch_tokens": 200}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A base model with dropout and tables for three heads."""
    folder = tmp_path_factory.mktemp("resume")
    base = make_base(folder / "base", dropout=0.1)
    tables = {head: make_encoded(folder / head, head, 240, base) for head in ("classification", "tagging", "mlm")}
    dev = make_encoded(folder / "dev", "classification", 40, base, seed=1, split="dev")
    return base, tables, dev


def mixture(world, **recipe):
    """Parameters and inputs of a mixed intermediate stage: two labelled tasks and masked language modelling."""
    base, tables, dev = world
    tasks = [
        {"task": head, "head": head, "labels": LABELS_OF.get(head), "parts": [{"dataset": head, "language": "en"}]}
        for head in tables
    ]
    inputs = {"model": base, "select/classification": dev}
    inputs |= {f"train/{head}/en": table for head, table in tables.items()}
    return {"seed": 3, "mixture": tasks, "recipe": {**RECIPE, "epochs": 3, **recipe}}, inputs


@pytest.mark.parametrize(("kills", "lora"), [(KILLS, None), (4, {"rank": 4, "dropout": 0.1, "merge": False})])
def test_killed_again_and_again_it_ends_bit_equal(world, tmp_path, kills, lora):
    import peft  # noqa: F401  # what follows is timed, and importing it takes longer than the training

    params, inputs = mixture(world, lora=lora)
    started = time.monotonic()
    run_stage("intermediate", params, inputs, tmp_path / "whole", log_steps=5)
    took = time.monotonic() - started
    methods = multiprocessing.get_context("forkserver")
    methods.set_forkserver_preload(["xtreme_dag.training.stages", "transformers", "peft", "tests.training.worlds"])
    moments = random.Random(1)
    folder = tmp_path / "broken"
    folder.mkdir()
    for kill in range(kills):
        child = methods.Process(
            target=run_stage,
            args=("intermediate", params, inputs, folder),
            kwargs={"log_steps": 1, "checkpoint_steps": 2},
        )
        before = reported(folder)
        child.start()
        # One kill in four while it loads, the others while it trains.
        while kill % 4 and child.is_alive() and reported(folder) == before:
            time.sleep(0.005)
        child.join(moments.uniform(0, took / 6))
        if child.is_alive():
            child.kill()
        child.join()
        (folder / "done").unlink(missing_ok=True)
    run_stage("intermediate", params, inputs, folder, log_steps=5, checkpoint_steps=2)
    resumed = {event["message"] for event in events(folder) if event["event"] == "log"}
    assert len(resumed) >= 2, "the kills should have hit the run at different steps"
    assert digest(folder / "out") == digest(tmp_path / "whole" / "out")


@pytest.mark.parametrize("devices", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_asked_to_stop_it_goes_on_where_it_was(world, tmp_path, devices):
    """The pool is closed in the middle: a checkpoint that is not due by the clock."""
    params, inputs = mixture(world, devices=devices, epochs=4 - devices)  # steps of two processes take longer
    run_stage("intermediate", params, inputs, tmp_path / "whole")
    folders = {name: tmp_path / "broken" / name for name in ("out", "scratch")}
    heard = []

    def request():
        shutil.rmtree(folders["out"], ignore_errors=True)
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        return Request(
            function="xtreme_dag.training.stages:intermediate", params=params, inputs=inputs, **folders,
            options={"threads": 1, "log_steps": 1},
        )  # fmt: skip

    def listen(event):
        heard.append(event)
        if event["event"] == "progress" and sum(each["event"] == "progress" for each in heard) == 5:
            closing.start()

    pool = WorkerPool(1, tmp_path / "logs", grace=60)
    closing = threading.Thread(target=pool.close)
    with pytest.raises(PoolClosed, match=r"stopped after step .*, with a checkpoint"):
        pool.call(request(), listen)
    closing.join()
    last = max(event["done"] for event in heard if event["event"] == "progress")
    kept = sorted(folder.name for folder in (folders["scratch"] / "checkpoints").glob("step-*"))
    assert kept == [f"step-{last:09d}"], "no step was lost"
    with WorkerPool(1, tmp_path / "logs", grace=60) as pool:
        heard.clear()
        pool.call(request(), heard.append)
    [resumed] = [event["message"] for event in heard if "resumed at step" in event.get("message", "")]
    assert resumed.startswith(f"resumed at step {last} of")
    assert digest(folders["out"]) == digest(tmp_path / "whole" / "out")


def reported(folder):
    """How much a run has reported, over all its attempts."""
    file = folder / "events.jsonl"
    return file.stat().st_size if file.is_file() else 0


def test_stopped_between_two_looks_it_reloads_the_same_best(world, tmp_path):
    """The best model belongs to the checkpoint: a later best, seen before the kill, is forgotten with it."""
    base, tables, dev = world
    params = {
        "seed": 1,
        "task": "t",
        "dataset": "t",
        "head": "classification",
        "labels": LABELS,
        "recipe": {**RECIPE, "epochs": 4},
    }
    inputs = {"model": base, "train": tables["classification"], "select": dev}
    run_stage("target", params, inputs, tmp_path / "whole", checkpoint_steps=5)
    folder = tmp_path / "broken"
    folder.mkdir()
    shutil.copytree(tmp_path / "whole" / "scratch", folder / "scratch")
    kept = sorted((folder / "scratch" / "checkpoints").glob("step-*"))
    assert [path.name for path in kept] == ["step-000000050", "step-000000055"]
    shutil.rmtree(kept[1])
    (folder / "scratch" / "checkpoints" / "best.safetensors").write_bytes(b"a best model of a later step")
    run_stage("target", params, inputs, folder, checkpoint_steps=5)
    assert digest(folder / "out") == digest(tmp_path / "whole" / "out")


@pytest.mark.parametrize("damage", ["weights.safetensors", "optimiser.safetensors", "state.json"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(world, tmp_path, damage):
    base, tables, _ = world
    params = {"seed": 1, "task": "t", "dataset": "t", "head": "tagging", "labels": TAGS,
              "recipe": {**RECIPE, "select_every": 0, "epochs": 2}}  # fmt: skip
    inputs = {"model": base, "train": tables["tagging"]}
    run_stage("target", params, inputs, tmp_path, checkpoint_steps=8)
    whole = digest(tmp_path / "out")
    newest = sorted((tmp_path / "scratch" / "checkpoints").glob("step-*"))[-1]
    content = (newest / damage).read_bytes()
    (newest / damage).write_bytes(content[: len(content) // 2])
    run_stage("target", params, inputs, tmp_path, checkpoint_steps=8)
    assert any(event.get("message") == "resumed at step 16 of 30" for event in events(tmp_path))
    assert digest(tmp_path / "out") == whole


def test_checkpoints_of_another_run_are_not_read(world, tmp_path):
    base, tables, _ = world
    params = {"seed": 1, "task": "t", "dataset": "t", "head": "tagging", "labels": TAGS,
              "recipe": {**RECIPE, "select_every": 0, "epochs": 1}}  # fmt: skip
    inputs = {"model": base, "train": tables["tagging"]}
    run_stage("target", params, inputs, tmp_path / "clean", checkpoint_steps=4)
    other = {**params, "recipe": {**params["recipe"], "learning_rate": 1e-3}}
    run_stage("target", other, inputs, tmp_path / "used", checkpoint_steps=4)
    run_stage("target", params, inputs, tmp_path / "used", checkpoint_steps=4)
    assert digest(tmp_path / "used" / "out") == digest(tmp_path / "clean" / "out")
    assert not any(event["event"] == "log" for event in events(tmp_path / "used"))


def test_two_checkpoints_are_kept_and_half_a_checkpoint_is_invisible(tmp_path):
    import torch

    checkpoints = Checkpoints(tmp_path, "run")
    for step in (1, 2, 3):
        checkpoints.save(step, {"w": torch.full((2,), float(step))}, {}, {"looks": []})
    assert sorted(path.name for path in tmp_path.glob("step-*")) == ["step-000000002", "step-000000003"]
    for state in ("[]", "7", '{"step": 3}', "[" * 100_000):
        (tmp_path / "step-000000003" / "state.json").write_text(state)
        assert checkpoints.latest().state["step"] == 2
    checkpoints.save(3, {"w": torch.full((2,), 3.0)}, {}, {"looks": []})
    (tmp_path / "writing").mkdir()
    (tmp_path / "writing" / "weights.safetensors").write_bytes(b"half")
    found = checkpoints.latest()
    assert found is not None and found.state["step"] == 3 and found.weights["w"].tolist() == [3.0, 3.0]
    checkpoints.save(4, {"w": torch.zeros(2)}, {}, {"looks": []})
    assert not (tmp_path / "writing").exists()


def test_the_seconds_between_checkpoints_are_a_setting(world, tmp_path):
    params, inputs = mixture(world, steps=4)
    for seconds, name in ((1e-9, "often"), (3600.0, "seldom")):
        run_stage("intermediate", params, inputs, tmp_path / name, checkpoint_seconds=seconds)
    often, seldom = (
        [event["folder"] for event in events(tmp_path / name) if event["event"] == "checkpoint"]
        for name in ("often", "seldom")
    )
    assert len(often) >= 3 and len(set(often)) == len(often) and not seldom
    assert digest(tmp_path / "often" / "out") == digest(tmp_path / "seldom" / "out")
