"""What a model folder lacks is named and never made up; code that it brings with it is not run and not asked about."""

import ast
import io
import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification

from tests.training.worlds import make_base, make_tokenizer, tiny_config
from xtreme_dag.core.errors import UserError
from xtreme_dag.heads.trained import load_model
from xtreme_dag.model import pack

TOKENS = pack([[0, 7, 8, 2], [0, 9, 2]])


@pytest.fixture
def whole(tmp_path):
    """A masked language model and its tokenizer, as published."""
    torch.manual_seed(4)
    AutoModelForMaskedLM.from_config(tiny_config()).save_pretrained(tmp_path / "model")
    return make_tokenizer(tmp_path / "model")


def rewritten(folder, change):
    """The folder with other weights."""
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})
    return folder


def configured(folder, **settings):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return folder


def scores(folder):
    with torch.no_grad():
        return load_model(folder).scores("mlm", TOKENS)


def test_missing_weights_are_an_error_that_names_them(whole):
    name = "roberta.encoder.layer.1.output.dense.weight"
    rewritten(whole, lambda weights: {key: value for key, value in weights.items() if key != name})
    with pytest.raises(
        UserError, match=r"1 of the \d+ weights .* missing: encoder.layer.1.output.dense.weight"
    ) as said:
        load_model(whole)
    assert said.value.where == str(whole / "model.safetensors")


def test_a_deeper_config_and_another_architecture_are_errors(whole, tmp_path):
    deeper = configured(whole, num_hidden_layers=3)
    with pytest.raises(UserError, match=r"missing: encoder.layer.2.attention.output.LayerNorm.bias, .*\.\.\."):
        load_model(deeper)
    make_base(tmp_path / "bert", "bert")
    other = rewritten(tmp_path / "bert", lambda weights: {f"distilbert.x.{key}": weights[key] for key in weights})
    with pytest.raises(UserError, match="weights of the model are missing"):
        load_model(other)
    wider = configured(make_base(tmp_path / "wider"), intermediate_size=80)
    with pytest.raises(UserError, match=r"another shape .* has \[64\], not \[80\]"):
        load_model(wider)


def test_half_a_head_is_an_error(whole):
    rewritten(whole, lambda weights: {key: value for key, value in weights.items() if key != "lm_head.dense.bias"})
    with pytest.raises(UserError, match=r"lacks its lm_head.dense.bias"):
        load_model(whole)


def test_unexpected_weights_are_a_warning(tmp_path, caplog):
    AutoModelForSequenceClassification.from_config(tiny_config()).save_pretrained(tmp_path)
    lines = []
    load_model(make_tokenizer(tmp_path), log=lines.append)
    assert lines == [
        f"{tmp_path / 'model.safetensors'}: 4 weights are not used: "
        "classifier.dense.bias, classifier.dense.weight, classifier.out_proj.bias, ..."
    ]
    with caplog.at_level(logging.WARNING):
        load_model(tmp_path)
    assert "4 weights are not used" in caplog.text


@pytest.mark.parametrize("prefix", ["module.", "model.", "model.module.", "_orig_mod.", "module.model."])
def test_known_prefixes_are_left_out_in_the_open(whole, prefix):
    wanted = scores(whole)
    rewritten(
        whole, lambda weights: {prefix + key: value for key, value in weights.items()} | {"loss.scale": torch.ones(1)}
    )
    lines = []
    with torch.no_grad():
        assert torch.equal(load_model(whole, log=lines.append).scores("mlm", TOKENS), wanted)
    assert f"the prefix {prefix!r} is left out" in lines[0] and "1 weights are not used: loss.scale" in lines[1]


def test_an_unknown_prefix_is_an_error(whole):
    rewritten(whole, lambda weights: {f"net.{key}": value for key, value in weights.items()})
    with pytest.raises(UserError, match="weights of the model are missing"):
        load_model(whole)


def test_names_of_tensorflows_time_are_known(tmp_path):
    torch.manual_seed(4)
    AutoModelForMaskedLM.from_config(tiny_config("bert")).save_pretrained(tmp_path)
    wanted = scores(make_tokenizer(tmp_path))

    def old(key):
        return key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")

    rewritten(tmp_path, lambda weights: {old(key): value for key, value in weights.items()})
    assert torch.equal(scores(tmp_path), wanted)


def test_two_loads_in_fresh_processes_are_bit_equal(whole, tmp_path, capsys):
    """Also where a pooling layer is missing from an architecture that is built with one, and of spoilt folders.

    These are a sample of the zoo; `python -m bench.zoo --loads` has all of it.
    """
    from transformers import AutoConfig

    from bench.zoo import loads

    own = tmp_path / "zoo" / "own"
    shutil.copytree(whole, own / "whole")
    config = AutoConfig.for_model("mpnet", vocab_size=65, hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
                                  intermediate_size=64, max_position_embeddings=130)  # fmt: skip
    AutoModel.from_config(config).save_pretrained(own / "pooled")
    rewritten(own / "pooled", lambda weights: {key: weights[key] for key in weights if "pooler" not in key})
    kinds, damages = ["bert", "mpnet", "deberta-v2", "t5"], ["foreign_weights", "missing_weight", "slow_unlike"]
    assert loads(own.parent, kinds, damages) == 0
    assert "18 folders, 14 load, 4 are refused" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["own-architecture", "xlm-roberta"])
def test_code_of_a_folder_is_neither_run_nor_asked_about(whole, tmp_path, kind, monkeypatch, capfd):
    """`y` on stdin would let transformers run it; the folder of a known architecture loads without it."""
    (whole / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    names = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
    configured(whole, model_type=kind, auto_map=names)
    answers = io.StringIO("y\ny\ny\n")
    monkeypatch.setattr("sys.stdin", answers)
    if kind == "own-architecture":
        with pytest.raises(UserError, match=r"needs code that its folder brings with it \(auto_map\)"):
            load_model(whole)
    else:
        load_model(whole)
    assert answers.tell() == 0 and not (tmp_path / "ran").exists()
    said = capfd.readouterr()
    assert "[y/N]" not in said.out + said.err


def test_every_from_pretrained_refuses_foreign_code(repository):
    for room in ("xtreme_dag", "tasks", "flows", "bench"):
        # Benches build models of configurations that they make themselves.
        calls = {"from_pretrained"} | ({"from_config"} if room == "xtreme_dag" else set())
        for path in sorted(Path(repository, room).rglob("*.py")):
            for call in ast.walk(ast.parse(path.read_text())):
                if isinstance(call, ast.Call) and getattr(call.func, "attr", "") in calls:
                    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
                    assert given.get("trust_remote_code") == "False", f"{path}:{call.lineno}"
