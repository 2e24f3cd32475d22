"""A head that is declared outside the package is encoded, trained, controlled, evaluated and scored like the others."""

import importlib
import json

import pyarrow as pa
import pytest

from tests.heads import toy_head
from tests.training.worlds import LABELS, context, make_base, rows, run_stage
from xtreme_dag.core.errors import UserError
from xtreme_dag.heads import HEADS, HeadSpec, head_of, head_of_format, register
from xtreme_dag.heads.encoding import encode
from xtreme_dag.heads.trained import load_model
from xtreme_dag.tables.canonical import SCHEMAS, write_table
from xtreme_dag.tables.encoded import open_encoded
from xtreme_dag.wiring.entry import entry

FACTS = {"task": "toy", "dataset": "toy", "language": "en", "labels": LABELS}


@pytest.fixture
def toy():
    yield register(toy_head.HEAD)
    del HEADS["mean"]


@pytest.fixture
def world(tmp_path, toy):
    """A base model, and an encoded table of each split beside its canonical one."""
    base = make_base(tmp_path / "base")
    for seed, (split, count) in enumerate({"train": 120, "dev": 40, "test": 60}.items()):
        made = rows("pair_classification", count, seed=seed, split=split)
        for row in made:  # whether one of four words occurs: a mean shows it
            row["label"] = LABELS[any(int(word[1:]) < 4 for word in row["text_a"].split())]
        made[0]["label"] = None if split != "train" else made[0]["label"]
        (tmp_path / split).mkdir()
        write_table(
            pa.Table.from_pylist(made, schema=SCHEMAS["pair_classification"]), tmp_path / split / "table.parquet"
        )
        params = {"format": "pair_classification", "head": "mean", "labels": LABELS, "max_length": 40}
        inputs = {"table": tmp_path / split, "tokenizer": base}
        encode(params, inputs, context(tmp_path / f"{split}-encoded"))
    return base, {split: tmp_path / f"{split}-encoded" / "out" for split in ("train", "dev", "test")}


def test_it_is_encoded_trained_and_scored(world, tmp_path):
    base, encoded = world
    assert open_encoded(encoded["train"]).head == "mean"
    params = {"seed": 1, "task": "toy", "dataset": "toy", "head": "mean", "labels": LABELS,
              "recipe": {"batch_size": 12, "steps": 100, "learning_rate": 5e-3, "select_every": 10}}  # fmt: skip
    inputs = {"model": base, "train": encoded["train"], "select": encoded["dev"]}
    (tmp_path / "run").mkdir()
    run_stage("target", params, inputs, tmp_path / "run")
    trained = tmp_path / "run" / "out"
    assert load_model(trained).specs == {"toy": HeadSpec(kind="mean", labels=tuple(LABELS))}
    report = json.loads((trained / "training.json").read_text())
    assert report["loss_curve"][-1] < 0.7 * report["loss_curve"][0] and report["selection"][-1]["toy"] > 0.8

    module, _, name = entry("pair_classification", "toy", "mean").partition(":")
    surroundings = context(tmp_path / "evaluated")
    inputs = {"model": trained, "encoded": encoded["test"], "table": tmp_path / "test"}
    getattr(importlib.import_module(module), name)({**FACTS, "split": "test"}, inputs, surroundings)
    scores = json.loads((surroundings.out / "scores.json").read_text())
    assert scores["n"] == 59 and scores["metrics"]["accuracy"] > 80


def test_it_is_an_intermediate_task_with_a_control(world, tmp_path):
    base, encoded = world
    part = {"dataset": "toy", "language": "en", "share": None}
    mixture = [{"task": "toy", "head": "mean", "labels": LABELS, "parts": [part]}]
    losses = {}
    for control in (None, "shuffled_labels"):
        (tmp_path / str(control)).mkdir()
        params = {"seed": 1, "mixture": mixture, "budget": {"examples": 100}, "control": control,
                  "recipe": {"batch_size": 10, "epochs": 6, "learning_rate": 1e-2}}  # fmt: skip
        run_stage("intermediate", params, {"model": base, "train/toy/en": encoded["train"]}, tmp_path / str(control))
        report = json.loads((tmp_path / str(control) / "out" / "training.json").read_text())
        losses[control] = report["loss_curve"][-1]
    assert losses[None] < losses["shuffled_labels"]


def test_what_is_declared_is_what_is_found(toy):
    assert head_of("mean") is toy and head_of_format("pair_classification").name == "classification"
    assert entry("pair_classification", "xnli").endswith(":evaluate_classification")
    assert entry("pair_classification", "xnli", "mean") == "tests.heads.toy_head:evaluate"
    # Its code is another distribution's: the version of that is in the keys.
    assert toy.train_code() == toy.encode_code == () and toy.libraries == ("pytest",)
    with pytest.raises(ValueError, match="mean: mean has its name"):
        register(toy)
    with pytest.raises(UserError, match="did you mean 'mean'"):
        head_of("meen")
