"""Models of a loopback hub: safetensors, pickled weights, pull requests, translators, no commit given."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForMaskedLM, MarianConfig, MarianMTModel

from tests.catalogue.hub_server import HubServer, Repository
from tests.training.worlds import make_tokenizer, tiny_config
from xtreme_dag.data.derive.translate_model import open_translator

PINNED, PULL, BARE = "1" * 40, "2" * 40, "3" * 40

FIND = """
import json, sys
from pathlib import Path
from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.graph import Graph
from xtreme_dag.study.file import Model
from xtreme_dag.wiring.models import Models
told = []
for model, how in json.loads(sys.argv[1]):
    try:
        found = Models(Graph(), absent=how == "plan").base(Model(**model))
        told.append(str(getattr(found, "path", found.stage if hasattr(found, "stage") else "")))
    except UserError as error:
        told.append(f"ERROR {error}")
print(json.dumps(told))
"""


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A masked language model: its folder with safetensors, and the same with a pickle."""
    safe, pickled = (tmp_path_factory.mktemp(name) for name in ("safe", "pickled"))
    torch.manual_seed(1)
    model = AutoModelForMaskedLM.from_config(tiny_config())
    for folder in (safe, pickled):
        make_tokenizer(folder)
        model.config.save_pretrained(folder)
    model.save_pretrained(safe)
    torch.save(model.state_dict(), pickled / "pytorch_model.bin")
    return safe, pickled


@pytest.fixture(scope="module")
def marian(tmp_path_factory):
    """A translator as on the hub: two sentencepiece files, a vocabulary, pickled weights, no safetensors."""
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

    folder, made = tmp_path_factory.mktemp("marian"), io.BytesIO()
    lines = ["the cat sees a dog", "a dog runs", "der Hund sieht die Katze", "cats and dogs run fast in the house"] * 9
    SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=made, vocab_size=60, hard_vocab_limit=False, minloglevel=2
    )
    pieces = SentencePieceProcessor(model_proto=made.getvalue())
    special = ("</s>", "<unk>", "<s>")
    words = [pieces.id_to_piece(number) for number in range(pieces.get_piece_size())]
    vocabulary = ["</s>", "<unk>", *(word for word in words if word not in special), "<pad>"]
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(made.getvalue())
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(vocabulary)}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"source_lang": "en", "target_lang": "de"}))
    pad = len(vocabulary) - 1
    config = MarianConfig(
        vocab_size=len(vocabulary), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, pad_token_id=pad, eos_token_id=0,
        decoder_start_token_id=pad, max_position_embeddings=32, forced_eos_token_id=0,
    )  # fmt: skip
    torch.manual_seed(2)
    model = MarianMTModel(config)
    config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder


@pytest.fixture
def hub(encoder, marian):
    safe, pickled = map(files, encoder)
    unrelated = Repository(commit=BARE, files={"notes.md": b"more words"})
    pull = Repository(commit=PULL, files=safe)
    only_pickled = Repository(commit=PINNED, files=pickled, others={"refs/pr/1": unrelated, "refs/pr/8": pull})
    bare = {name: data for name, data in safe.items() if not name.endswith(".safetensors")}
    models = {
        "us/safe": Repository(commit=PINNED, files={**safe, "pytorch_model.bin": b"not fetched"}),
        "us/pickled": only_pickled,
        "us/opus": Repository(commit=PINNED, files=files(marian)),
        "us/flax": Repository(commit=PINNED, files={**bare, "flax_model.msgpack": b"?"}),
    }
    with HubServer({}, models=models) as server:
        yield server


def found(server, tmp_path, *models, **more):
    """The folders of models, or what is wrong, found by a process of its own: a model is (name, revision) or (name, revision, how)."""
    asked = [
        ({"hub": name, **({"revision": revision} if revision else {})}, *(how or ["run"]))
        for name, revision, *how in models
    ]
    env = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    env |= {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_TELEMETRY": "1", **more}
    command = [sys.executable, "-c", FIND, json.dumps(asked)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_snapshot_with_safetensors_is_taken_without_its_pickles_and_so_is_that_of_a_pull_request(
    hub, tmp_path, encoder
):
    safe, pull, other = found(hub, tmp_path, ("us/safe", PINNED), ("us/pickled", PULL), ("us/flax", PINNED))
    for folder in (Path(safe), Path(pull)):
        assert (folder / "model.safetensors").is_file() and not list(folder.glob("*.bin"))
    assert not any("pytorch_model" in path for _, path, _ in hub.requests)
    assert (Path(pull) / "model.safetensors").read_bytes() == (encoder[0] / "model.safetensors").read_bytes()
    # Weights of another framework are refused in a line.
    assert other.startswith(f"ERROR model.hub: us/flax at {PINNED[:12]} has no weights for torch")


def test_pickled_weights_are_converted_once_and_found_offline(hub, tmp_path, encoder):
    pickled = ("us/pickled", PINNED)
    planned, made = found(hub, tmp_path, (*pickled, "plan"), pickled)
    assert planned.startswith("pretrain[us/pickled]")  # a plan fetches nothing
    folder = Path(made)
    assert (folder / "model.safetensors").is_file() and not list(folder.glob("*.bin")) and PINNED in folder.name
    before = files(folder)
    asked = len(hub.requests)
    assert found(hub, tmp_path, (*pickled, "plan"), HF_HUB_OFFLINE="1") == [str(folder)]
    assert len(hub.requests) == asked and files(folder) == before
    (other,) = found(hub, tmp_path / "other", pickled)
    assert files(Path(other)) == before, "the same bytes wherever it is converted, so the same keys"


def test_a_translator_with_pickled_weights_and_a_slow_tokenizer_translates(hub, tmp_path):
    (folder,) = found(hub, tmp_path, ("us/opus", PINNED))
    assert {"source.spm", "target.spm", "vocab.json", "model.safetensors"} <= files(Path(folder)).keys()
    translate = open_translator(Path(folder), beams=1, max_length=8, code=None, device="cpu", log=print)
    (translated,) = translate(["the cat runs"])
    assert isinstance(translated, str)


def test_without_a_commit_the_newest_is_offered_where_there_is_a_network(hub, tmp_path):
    *both, said, nothing = found(
        hub, tmp_path, ("us/safe", None, "run"), ("us/safe", None, "plan"), ("us/pickled", None), ("us/nothing", None)
    )
    for one in both:
        assert "a hub model needs `revision`" in one and one.endswith(f"the newest is revision: {PINNED}")
    assert f"the newest is revision: {PINNED} (pickled weights, which a run converts)" in said
    assert said.endswith(f"refs/pr/8, whose author is anybody, has safetensors: {PULL}")
    (offline,) = found(hub, tmp_path, ("us/safe", None), HF_HUB_OFFLINE="1")
    assert nothing.endswith("its page shows it") and offline.endswith("its page shows it")
