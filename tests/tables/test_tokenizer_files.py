"""A folder without a tokenizer, or with one that knows no words, is refused: transformers makes up a vocabulary."""

import json

import pytest

from tests.training.worlds import tiny_config
from xtreme_dag.core.errors import UserError
from xtreme_dag.tables.tokenizer import load_tokenizer


@pytest.mark.parametrize("kind", ["xlm-roberta", "bert", "deberta-v2", "mt5"])
def test_a_folder_without_tokenizer_files_is_refused(tmp_path, kind):
    """transformers makes up a vocabulary for it, in which every word is unknown."""
    tiny_config(kind).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"no tokenizer in this folder \(no tokenizer.json, no vocabulary\)"):
        load_tokenizer(tmp_path)


def test_a_vocabulary_of_special_tokens_only_is_refused(tmp_path):
    """Another tokenizer's files, or one that was saved after it had been made up."""
    from transformers import AutoTokenizer

    tiny_config("bert").save_pretrained(tmp_path)
    (tmp_path / "sentencepiece.bpe.model").write_bytes(b"not what BERT reads")
    with pytest.raises(UserError, match="special tokens only"):
        load_tokenizer(tmp_path)
    (tmp_path / "saved").mkdir()
    AutoTokenizer.from_pretrained(str(tmp_path), local_files_only=True).save_pretrained(str(tmp_path / "saved"))
    with pytest.raises(UserError, match="special tokens only"):
        load_tokenizer(tmp_path / "saved")


def test_the_code_of_a_tokenizer_is_not_run(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "own-architecture"}))
    (tmp_path / "vocab.txt").write_text("a\n")
    settings = {"auto_map": {"AutoTokenizer": ["own.OwnTokenizer", None]}, "tokenizer_class": "OwnTokenizer"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match="the tokenizer needs code"):
        load_tokenizer(tmp_path)
