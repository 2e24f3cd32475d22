"""`xtreme-dag model convert`: pickled weights become safetensors, with tokenizer and head; a hostile pickle does nothing."""

import json
import pickle
import subprocess
import sys

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM

from tests.training.worlds import make_tokenizer, tiny_config
from xtreme_dag.core.errors import UserError
from xtreme_dag.heads.trained import load_model
from xtreme_dag.model import pack
from xtreme_dag.program.cli import program
from xtreme_dag.tables.tokenizer_files import load_tokenizer
from xtreme_dag.wiring.convert import convert

TOKENS = pack([[0, 7, 8, 2], [0, 9, 2]])


@pytest.fixture
def model(tmp_path):
    """A masked language model with its tokenizer and no weights in the folder yet."""
    torch.manual_seed(4)
    made = AutoModelForMaskedLM.from_config(tiny_config()).eval()
    made.config.save_pretrained(tmp_path / "pickled")
    make_tokenizer(tmp_path / "pickled")
    return made


def same(model, folder):
    loaded = load_model(folder)
    with torch.no_grad():
        wanted = model(input_ids=TOKENS.input_ids[None, :4]).logits[0]
        torch.testing.assert_close(loaded.scores("mlm", TOKENS)[:4], wanted, atol=1e-4, rtol=1e-4)
    assert load_tokenizer(folder).encode(["w1 w2"], None, 9).ids.tolist() == [0, 6, 7, 2]


def test_the_advice_for_pickled_weights_leads_to_a_model_that_works(model, tmp_path):
    """Weights, tokenizer and head: what the advice of before lost in silence."""
    torch.save(model.state_dict(), tmp_path / "pickled" / "pytorch_model.bin")
    torch.save({"args": 1}, tmp_path / "pickled" / "training_args.bin")
    with pytest.raises(UserError, match="only pickled weights") as said:
        load_model(tmp_path / "pickled")
    assert f"xtreme-dag model convert {tmp_path / 'pickled'} OUT" in said.value.fix
    done = CliRunner().invoke(
        program, ["model", "convert", str(tmp_path / "pickled"), str(tmp_path / "out")], catch_exceptions=False
    )
    assert done.exit_code == 0 and "weights in model.safetensors" in done.output
    same(model, tmp_path / "out")
    stored = load_file(tmp_path / "out" / "model.safetensors")
    assert all(torch.equal(stored[name], value) for name, value in model.state_dict().items() if name in stored)
    assert set(model.state_dict()) - set(stored) <= {"lm_head.decoder.weight", "lm_head.decoder.bias"}
    assert not list(tmp_path.glob(".*unfinished"))


def test_shards_and_lightning_checkpoints(model, tmp_path):
    names = sorted(model.state_dict())
    files = {name: f"pytorch_model-0000{1 + number % 2}-of-00002.bin" for number, name in enumerate(names)}
    for file in set(files.values()):
        torch.save(
            {name: model.state_dict()[name] for name in names if files[name] == file}, tmp_path / "pickled" / file
        )
    (tmp_path / "pickled" / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": files}))
    convert(tmp_path / "pickled", tmp_path / "out")
    same(model, tmp_path / "out")
    for path in (tmp_path / "pickled").glob("pytorch_model*"):
        path.unlink()
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "pickled" / "last.ckpt")
    convert(tmp_path / "pickled", tmp_path / "lightning")
    same(model, tmp_path / "lightning")


class Hostile:
    """A pickle that runs code where it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_with_more_than_tensors_is_not_read(model, tmp_path):
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(pickle.dumps(Hostile(tmp_path / "ran"), protocol=2))
    with pytest.raises(UserError, match=r"more than tensors|no file of weights"):
        convert(tmp_path / "pickled", tmp_path / "out")
    torch.save({"a": Hostile(tmp_path / "ran")}, tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(UserError, match="more than tensors"):
        convert(tmp_path / "pickled", tmp_path / "out")
    assert not (tmp_path / "ran").exists() and not (tmp_path / "out").exists()


def test_what_cannot_be_converted_is_said(model, tmp_path):
    with pytest.raises(UserError, match="no pickled weights"):
        convert(tmp_path / "pickled", tmp_path / "out")
    torch.save(model.state_dict(), tmp_path / "pickled" / "pytorch_model.bin")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").touch()
    with pytest.raises(UserError, match="is there already"):
        convert(tmp_path / "pickled", tmp_path / "there")
    (tmp_path / "pickled" / "tokenizer.json").unlink()
    with pytest.raises(UserError, match="no tokenizer in this folder"):
        convert(tmp_path / "pickled", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    model.save_pretrained(tmp_path / "pickled")
    with pytest.raises(UserError, match="safetensors already"):
        convert(tmp_path / "pickled", tmp_path / "out")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', '{"weight_map": {"a": 1}}',
     '{"weight_map": {"a": "../other/pytorch_model.bin"}}'],
)  # fmt: skip
def test_an_index_that_is_none_is_refused_in_a_line(tmp_path, content):
    folder = tmp_path / "pickled"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    index = folder / "pytorch_model.bin.index.json"
    index.write_text(content)
    with pytest.raises(UserError) as said:
        convert(folder, tmp_path / "out")
    assert said.value.where == str(index) and "\n" not in said.value.what and not (tmp_path / "out").exists()


ATTEMPTS = [
    "socket.create_connection(('127.0.0.1', 9))",
    "socket.gethostbyname('localhost')",
    "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
    "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg([b'x'], [], 0, ('127.0.0.1', 9))",
    "os.system('true')",
    "os.fork()",
    "os.forkpty()",
    "os.execv('/bin/true', ['true'])",
    "os.posix_spawn('/bin/true', ['true'], {})",
    "subprocess.run(['true'])",
    "pty.spawn('true')",
]
TRY = """
import os, pty, socket, subprocess, sys
from xtreme_dag.wiring.convert import _forbid
sys.addaudithook(_forbid)
for code in sys.argv[1:]:
    try:
        exec(code)
    except Exception as refused:
        print(code, "|", refused)
"""


def test_the_process_that_reads_pickles_has_no_network_and_starts_no_program():
    """Each attempt is refused, by the same process."""
    done = subprocess.run([sys.executable, "-c", TRY, *ATTEMPTS], capture_output=True, text=True, check=True)
    refused = dict(line.split(" | ", 1) for line in done.stdout.splitlines())
    assert list(refused) == ATTEMPTS
    assert all("not allowed while pickled weights are read" in why for why in refused.values()), refused
