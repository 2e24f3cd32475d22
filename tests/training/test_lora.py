"""Low-rank adapters: what trains, what is stored, and that merging, loading and resuming are exact."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from tests.training.worlds import LABELS, TAGS, digest, make_base, make_encoded, run_stage
from xtreme_dag.core.errors import UserError
from xtreme_dag.heads.trained import load_model
from xtreme_dag.model import pack
from xtreme_dag.model.adapters import attach, detach
from xtreme_dag.study.train_recipe import Lora, TrainRecipe

RECIPE = {"learning_rate": 1e-2, "batch_size": 16, "epochs": 2}
LORA = {"rank": 4, "alpha": 8.0, "dropout": 0.1, "targets": ["query", "key", "value", "dense"]}
IDS = [[0, 5, 6, 7, 8, 9, 2], [0, 11, 2], [0, 20, 21, 22, 2]]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base") / "model", dropout=0.1)


@pytest.fixture(scope="module")
def tables(tmp_path_factory, base):
    folder = tmp_path_factory.mktemp("tables")
    made = {head: make_encoded(folder / head, head, 90, base) for head in ("classification", "tagging")}
    return {**made, "dev": make_encoded(folder / "dev", "classification", 30, base, seed=1, split="dev")}


def params(lora, head="classification", labels=LABELS, **recipe):
    return {"seed": 3, "task": "t", "dataset": "t", "head": head, "labels": labels,
            "recipe": {**RECIPE, **recipe, "lora": lora}}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory, base, tables):
    """The same training, merged and kept."""
    folder = tmp_path_factory.mktemp("runs")
    inputs = {"model": base, "train": tables["classification"], "select": tables["dev"]}
    for name, merge in (("merged", True), ("kept", False)):
        told = params({**LORA, "merge": merge}, select_every=4, select_examples=30)
        run_stage("target", told, inputs, folder / name, checkpoint_steps=5)
    return folder


def large(encoder, lora=None):
    """An adapter of large random values on an encoder."""
    tuned = attach(encoder, Lora(**(lora or LORA)), seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return tuned


@pytest.mark.parametrize("kind", ["xlm-roberta", "distilbert", "modernbert", "deberta-v2"])
def test_the_packed_forward_pass_is_that_of_the_padded_batch(tmp_path, kind):
    """An adapter in its layers, one that is merged, and peft's own model over transformers' padded batch agree."""
    from peft import LoraConfig, PeftModel
    from transformers import AutoModel

    folder = make_base(tmp_path / "base", kind)
    model = load_model(folder, log=lambda _line: None)
    before = model.encoder(pack(IDS)).detach()
    tuned = large(model.encoder, {**LORA, "targets": "all-linear"})
    model.eval()
    with torch.no_grad():
        packed, firsts = model.encoder(pack(IDS)), model.encoder.first_states(pack(IDS))
        adapter = detach(model.encoder, tuned)
        merged = model.encoder(pack(IDS))
        adapter.save(tmp_path / "adapter")
        whole = AutoModel.from_pretrained(str(folder)).eval()
        reference = PeftModel.from_pretrained(whole, str(tmp_path / "adapter")).eval()
        width = max(map(len, IDS))
        ids = torch.tensor([row + [1] * (width - len(row)) for row in IDS])
        padded = reference(input_ids=ids, attention_mask=(ids != 1).long()).last_hidden_state
    rows = torch.cat([padded[number, : len(row)] for number, row in enumerate(IDS)])
    assert (packed - before).abs().max() > 0.1, "the adapter does something"
    starts = [0, len(IDS[0]), len(IDS[0]) + len(IDS[1])]
    for found in (packed, merged):
        torch.testing.assert_close(found, rows, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(firsts, rows[starts], atol=2e-5, rtol=1e-4)
    assert isinstance(reference.peft_config["default"], LoraConfig)


def test_only_the_products_and_the_head_train(runs, base):
    merged, before = (load_file(str(path)) for path in (
        runs / "merged/out/encoder/model.safetensors", base / "model.safetensors"))  # fmt: skip
    changed = {name for name in merged if not torch.equal(merged[name], before[name])}
    assert changed and all(name.endswith(".weight") for name in changed)
    assert {name.split(".")[-2] for name in changed} == {"query", "key", "value", "dense"}
    assert not any("lora" in name for name in merged), "a plain encoder of transformers"


def test_checkpoints_hold_what_trains(runs):
    folder = sorted((runs / "kept/scratch/checkpoints").glob("step-*"))[-1]
    weights, moments, best = (
        load_file(str(folder / name)) for name in ("weights.safetensors", "optimiser.safetensors", "best.safetensors")
    )
    for names in (set(weights) - {"losses"}, {name.rpartition("/")[0] for name in moments}, set(best)):
        assert names and all("lora_" in name or ".heads." in name for name in names)
    assert {"lora_A", "lora_B"} <= {part for name in weights for part in name.split(".")}


def test_kept_and_merged_are_one_model(runs, base):
    kept, merged = runs / "kept/out", runs / "merged/out"
    assert not (kept / "encoder").exists() and (kept / "tokenizer").is_dir()
    assert (
        sum(path.stat().st_size for path in (kept / "adapter").iterdir())
        < (merged / "encoder/model.safetensors").stat().st_size
    )
    one, two = load_model(kept, bases=[base]), load_model(merged)
    for (name, mine), theirs in zip(one.state_dict().items(), two.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs), name
    assert json.loads((kept / "training.json").read_text()) == json.loads((merged / "training.json").read_text())
    assert str(base) not in (kept / "adapter/adapter_config.json").read_text()


def test_an_adapter_needs_its_base(runs, tmp_path):
    with pytest.raises(UserError, match="its base model is not named"):
        load_model(runs / "kept/out")
    with pytest.raises(UserError, match="does not fit its base model"):
        load_model(runs / "kept/out", bases=[_narrow(tmp_path)])


def _narrow(folder):
    """A base of another width."""
    from transformers import AutoModel

    from tests.training.worlds import make_tokenizer, tiny_config

    config = tiny_config()
    config.hidden_size, config.intermediate_size = 16, 32
    AutoModel.from_config(config).save_pretrained(str(folder / "narrow"))
    return make_tokenizer(folder / "narrow")


def test_adapters_stand_on_adapters(base, tables, tmp_path):
    """An adapter of intermediate training under one of target training, as without storing either alone."""
    for merge in (True, False):
        folder, lora = tmp_path / str(merge), {**LORA, "merge": merge}
        entry = {
            "task": "tagging",
            "head": "tagging",
            "labels": TAGS,
            "parts": [{"dataset": "tagging", "language": "en"}],
        }
        told = {"seed": 3, "mixture": [entry], "recipe": {**RECIPE, "epochs": 1, "lora": lora}}
        run_stage("intermediate", told, {"model": base, "train/tagging/en": tables["tagging"]}, folder / "one")
        inputs = {"model": folder / "one/out", "train": tables["classification"]}
        run_stage("target", params(lora, epochs=1), inputs if merge else {**inputs, "base/1": base}, folder / "two")
    whole = load_model(tmp_path / "True/two/out").state_dict()
    stacked = load_model(tmp_path / "False/two/out", bases=[tmp_path / "False/one/out", base]).state_dict()
    assert whole.keys() == stacked.keys() and all(torch.equal(whole[name], stacked[name]) for name in whole)


def test_a_broken_run_ends_with_the_same_bytes(runs, base, tables, tmp_path):
    inputs = {"model": base, "train": tables["classification"], "select": tables["dev"]}
    shutil.copytree(runs / "kept/scratch", tmp_path / "again/scratch")
    newest = sorted((tmp_path / "again/scratch/checkpoints").glob("step-*"))[-1]
    shutil.rmtree(newest)
    told = params({**LORA, "merge": False}, select_every=4, select_examples=30)
    run_stage("target", told, inputs, tmp_path / "again", checkpoint_steps=5)
    assert "resumed at step 5 of 12" in (tmp_path / "again/events.jsonl").read_text()
    assert digest(tmp_path / "again/out") == digest(runs / "kept/out")


def test_seeds_start_adapters_differently(base):
    first = [{name: value.clone() for name, value in attached(base, seed).items()} for seed in (1, 1, 2)]
    assert all(torch.equal(first[0][name], first[1][name]) for name in first[0])
    assert not any(torch.equal(first[0][name], first[2][name]) for name in first[0] if "lora_A" in name)
    assert all(not first[0][name].any() for name in first[0] if "lora_B" in name)


def attached(base, seed):
    encoder = load_model(base).encoder
    attach(encoder, Lora(), seed)
    return {name: value for name, value in encoder.named_parameters() if value.requires_grad}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rank": 0}, "lora.rank: 0 is not positive"),
        ({"rnk": 4}, "no key 'lora.rnk'"),
        ({"dropout": 1.0}, r"lora.dropout: 1.0 is not in \[0, 1\)"),
        ({"targets": "query"}, "lora.targets: 'query' is not a list"),
        (8, "lora: 8 is not a group of settings"),
    ],
)
def test_settings_are_checked(given, said):
    with pytest.raises(UserError, match=said):
        TrainRecipe.from_params({"lora": given})


def test_what_excludes_one_another_is_refused():
    with pytest.raises(UserError, match="strategy: ddp"):
        TrainRecipe.from_params({"lora": {}, "strategy": "fsdp"})
    with pytest.raises(UserError, match="nothing to round"):
        TrainRecipe.from_params({"lora": {"merge": False}, "storage": "bf16"})


def test_unknown_layers_are_named(base):
    with pytest.raises(UserError, match="Target modules") as raised:
        attach(load_model(base).encoder, Lora(targets=("w_q",)), seed=1)
    assert raised.value.fix == "of dense, key, query, value"
