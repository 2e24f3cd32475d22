"""A folder without a tokenizer, or with one that knows no words, is refused: transformers makes up a vocabulary."""

import json
import unicodedata
from functools import partial

import pytest
from tokenizers import Regex, models, normalizers, pre_tokenizers

from tests.training.worlds import tiny_config
from xtreme_dag.core.errors import UserError
from xtreme_dag.tables.tokenizer import TextTokenizer
from xtreme_dag.tables.tokenizer_files import load_tokenizer


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


def with_backend(model, *, normalizer=None, pre_tokenizer=None):
    from tokenizers import Tokenizer

    backend = Tokenizer(model)
    if normalizer is not None:
        backend.normalizer = normalizer
    if pre_tokenizer is not None:
        backend.pre_tokenizer = pre_tokenizer
    return TextTokenizer(backend, specials={}, type_ids=False)


def byte_level(**options):
    """RoBERTa's kind: a blank is part of the word that follows it."""
    letters = ["Ġ", "a", "b", "c"]
    merges = [("Ġ", "a"), ("Ġ", "b"), ("Ġ", "c"), ("Ġa", "b"), ("a", "b")]
    names = [*letters, *("".join(pair) for pair in merges)]
    model = models.BPE(vocab={name: number for number, name in enumerate(names)}, merges=merges)
    return with_backend(model, pre_tokenizer=pre_tokenizers.ByteLevel(**options))


def gemma_like():
    """A blank becomes a character of the vocabulary, and none is put before a text."""
    vocabulary = [
        ("<unk>", -9.0),
        ("▁", -5.0),
        ("a", -4.0),
        ("b", -4.0),
        ("▁a", -2.0),
        ("▁b", -2.0),
        ("▁ab", -1.0),
        ("ab", -3.0),
    ]
    return with_backend(models.Unigram(vocabulary, unk_id=0), normalizer=normalizers.Replace(" ", "▁"))


def xlmr_like():
    vocabulary = [
        ("<unk>", -9.0),
        ("▁", -5.0),
        *((letter, -4.0) for letter in "aTomébe"),
        ("▁Tomé", -1.0),
        ("▁a", -1.0),
    ]
    return with_backend(
        models.Unigram(vocabulary, unk_id=0), normalizer=normalizers.NFKC(), pre_tokenizer=pre_tokenizers.Metaspace()
    )


def bert_like():
    vocabulary = {name: number for number, name in enumerate(["[UNK]", "tome", "a", "b", "##b"])}
    return with_backend(
        models.WordPiece(vocabulary, unk_token="[UNK]"),
        normalizer=normalizers.BertNormalizer(),
        pre_tokenizer=pre_tokenizers.BertPreTokenizer(),
    )


@pytest.mark.parametrize(
    "made", [partial(byte_level, add_prefix_space=False), partial(byte_level, add_prefix_space=True), gemma_like]
)
def test_words_are_tokenised_as_inside_a_text(made):
    tokenizer = made()
    [(text, _)] = tokenizer.pieces(["a ab b"])
    [(ids, words)] = tokenizer.words([["c" if made is not gemma_like else "a", "ab", "b"]])
    assert ids[1:].tolist() == text[1:].tolist()
    assert words.tolist() == [0, 1, 2]
    [(again, _)] = tokenizer.words([["ab", "ab"]])
    assert again[0] == again[1] == text[1]


@pytest.mark.parametrize("made", [xlmr_like, bert_like])
def test_words_of_other_tokenizers_are_left_as_they_are(made):
    tokenizer = made()
    backend = tokenizer._backend
    words = ["a", "b", "ab"]
    [(ids, _)] = tokenizer.words([words])
    assert ids.tolist() == backend.encode(words, is_pretokenized=True, add_special_tokens=False).ids


@pytest.mark.parametrize("made", [xlmr_like, bert_like])
def test_answers_in_decomposed_text_keep_their_last_mark(made):
    """XLM-R composes `e` and its accent, BERT drops the accent: neither leaves it to a token."""
    text = unicodedata.normalize("NFD", "a Tomé")
    [(_, offsets)] = made().pieces([text])
    start, end = offsets[-1]
    assert text[start:end] == unicodedata.normalize("NFD", "Tomé")
    composed = unicodedata.normalize("NFC", text)
    [(_, plain)] = made().pieces([composed])
    assert composed[slice(*plain[-1])] == "Tomé"


def test_marks_that_have_tokens_of_their_own_stay_theirs():
    letters = "कित"
    model = models.WordLevel({letter: number for number, letter in enumerate(letters)}, unk_token="क")
    tokenizer = with_backend(model, pre_tokenizer=pre_tokenizers.Split(Regex("."), "isolated"))
    [(_, offsets)] = tokenizer.pieces([letters])
    assert offsets.tolist() == [[0, 1], [1, 2], [2, 3]]
