"""What is wrong with a model folder is said in a line before anything runs."""

import json
import os
import re
import shutil
import struct

import pytest

from bench.zoo import limited
from tests.model import zoo
from tests.model.damages import DAMAGES
from tests.wiring.small_studies import mixture, small
from xtreme_dag.model.trial import trial
from xtreme_dag.wiring import preflight as room
from xtreme_dag.wiring.build import build
from xtreme_dag.wiring.fit import _shape_of_folder
from xtreme_dag.wiring.forecast.shapes import _stored
from xtreme_dag.wiring.preflight import preflight, translators
from xtreme_dag.wiring.slow_vocabulary import pieces_of

KINDS = ("xlm-roberta", "distilbert")
# These are said and stop nothing: the right values may be the ones that are used.
WARNINGS = {"foreign_weights", "lower_case_unlike", "slow_unlike"}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    for name in KINDS:
        zoo.make(folder / name, name)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_every_damage_is_said_in_a_line_that_names_a_file(kind, good, tmp_path):
    assert preflight(good / kind, trial) == []
    for name, spoil in DAMAGES.items():
        folder = tmp_path / name
        shutil.copytree(good / kind, folder)
        spoil(folder)
        found = preflight(folder, trial)
        assert found and found[0].fatal == (name not in WARNINGS), name
        for finding in found:
            assert str(folder) in finding.where and "\n" not in str(finding), name


def test_a_trial_in_a_process_of_its_own_says_the_same(good):
    assert room._in_a_process(good / "xlm-roberta") == trial(good / "xlm-roberta")


def test_a_head_that_would_be_fresh_is_said(tmp_path):
    zoo.make(tmp_path, "mt5")
    assert any(finding.fix == "an mlm head would be fresh" for finding in preflight(tmp_path, trial))


def test_the_tokenizers_that_need_a_package_name_it(good, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "find_spec", lambda name: None)
    shutil.copytree(good / "xlm-roberta", tmp_path / "model")
    (tmp_path / "model" / "tokenizer.json").rename(tmp_path / "model" / "sentencepiece.bpe.model")
    words = [str(finding) for finding in preflight(tmp_path / "model", trial)]
    assert (
        len(words) == 1 and "needs sentencepiece, which is not installed; install the extra `sentencepiece`" in words[0]
    )
    zoo.make(tmp_path / "xlm", "xlm")
    (tmp_path / "xlm" / "tokenizer.json").unlink()
    (tmp_path / "xlm" / "vocab.json").write_text(json.dumps({"a": 0}))
    assert "needs sacremoses, which is not installed" in str(preflight(tmp_path / "xlm", trial)[0])


def test_a_sentencepiece_model_is_held_against_the_tokenizer(tmp_path):
    """A real one, its fast form as transformers converts it for XLM-R (ids one higher), and another one."""
    import io

    import sentencepiece
    from transformers import XLMRobertaTokenizer

    def trained(words):
        made = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(words * 3), model_writer=made, vocab_size=60, hard_vocab_limit=False, minloglevel=2
        )
        return made.getvalue()

    words = ["".join(chr(97 + (number * step) % 26) for step in (3, 5, 7, 11, 2)) for number in range(1, 200)]
    zoo.make(tmp_path, "xlm-roberta")
    (tmp_path / "tokenizer.json").unlink()
    path = tmp_path / "sentencepiece.bpe.model"
    path.write_bytes(trained(words))
    real = sentencepiece.SentencePieceProcessor(model_file=str(path))
    pieces = {real.id_to_piece(number): number for number in range(len(real)) if not real.is_control(number)}
    assert pieces_of(path) == {piece: number for piece, number in pieces.items() if piece != "<unk>"}
    XLMRobertaTokenizer.from_pretrained(tmp_path).save_pretrained(tmp_path)
    assert not any("slow tokenizer" in finding.what for finding in preflight(tmp_path, trial))
    path.write_bytes(trained([word.upper() for word in words]))
    (said,) = [finding for finding in preflight(tmp_path, trial) if "slow tokenizer" in finding.what]
    assert "words of sentencepiece.bpe.model" in said.what and not said.fatal
    path.write_bytes(path.read_bytes()[:300])
    assert pieces_of(path) == {}


def deep(folder, name):
    (folder / name).write_text('{"a": ' + "[" * 200_000)


def header(folder, content):
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(content)) + content)


def pipe(folder, name):
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)


ODD = {
    "a configuration without end": (lambda folder: deep(folder, "config.json"), "is no configuration"),
    "an index without end": (lambda folder: ((folder / "model.safetensors").unlink(), deep(folder, "model.safetensors.index.json")), "is no index of shards"),
    "a header without end": (lambda folder: header(folder, b"[" * 200_000), "has a damaged header"),
    "an infinite shape": (lambda folder: header(folder, b'{"a": {"shape": [Infinity], "data_offsets": [0, 4]}}'), "has a damaged header"),
    "a header that is a list": (lambda folder: header(folder, b"[1]"), "has a damaged header"),
    "settings without end": (lambda folder: deep(folder, "tokenizer_config.json"), "is not JSON"),
    "weights that are a pipe": (lambda folder: pipe(folder, "model.safetensors"), "weights of the model are missing"),
    "settings that are a pipe": (lambda folder: pipe(folder, "tokenizer_config.json"), ""),
    "pieces that are a pipe": (lambda folder: pipe(folder, "sentencepiece.bpe.model"), ""),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_files_that_no_reader_ends_are_no_hang_and_no_traceback(name, good, tmp_path):
    spoil, words = ODD[name]
    shutil.copytree(good / "xlm-roberta", tmp_path / "model")
    spoil(tmp_path / "model")
    with limited():
        found = preflight(tmp_path / "model", trial)
        assert _shape_of_folder(tmp_path / "model") is not None
        _stored(tmp_path / "model")
    said = "\n".join(map(str, found))
    assert (re.search(words, said) and str(tmp_path / "model") in said) if words else not found


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("lfs_pointer", "is a pointer of Git LFS"),
        ("cut_off", "has a damaged header|bytes where its header wants|is cut off"),
        ("missing_shard", "1 shards are missing"),
        ("no_tokenizer", "no tokenizer in this folder"),
        ("no_configuration", "no config.json"),
        ("no_weights", "no weights in safetensors; convert pickled ones"),
        ("sentencepiece_only", "needs sentencepiece, which is not installed"),
    ],
)
def test_a_model_that_translates_is_looked_at_too(damage, words, tiny_translator, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "find_spec", lambda name: None)
    folder = tmp_path / "model"
    shutil.copytree(tiny_translator, folder)
    by = {"by": "model", "models": {code: {"folder": str(folder)} for code in ("qaa", "qac")}}
    parts = mixture({"dataset": "xnli", "languages": ["qaa", "qac"], "translated": by})
    graph = build(small({"none": {}, "made": parts})).graph
    assert translators(graph) == []
    DAMAGES[damage](folder) if damage != "no_weights" else (folder / "model.safetensors").unlink()
    found = translators(graph)
    assert re.search(words, str(found[0])) and all(each.fatal and str(folder) in each.where for each in found)
