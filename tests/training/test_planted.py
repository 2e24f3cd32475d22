"""The planted model: its tokenizer, its alignment, its bytes, and that it learns."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from xtreme_dag.catalogue.miniworld_languages import CODES, LANGUAGES, language_of
from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError
from xtreme_dag.miniworld.lexicon import lexicon
from xtreme_dag.miniworld.mixed import switched_text
from xtreme_dag.miniworld.source import table
from xtreme_dag.miniworld.world import ADJECTIVES, VERBS, antonym
from xtreme_dag.study.pretraining import Planting
from xtreme_dag.training.planted import plant
from xtreme_dag.training.planted_embeddings import concept_vector, position_embeddings, word_embeddings, word_vector
from xtreme_dag.training.planted_tokenizer import SPECIALS, build, pieces, write

SMALL = {"seed": 3, "steps": 3, "sentences": 30, "batch_size": 8}


def plant_into(folder, params):
    out, scratch = folder / "out", folder / "scratch"
    out.mkdir(parents=True)
    scratch.mkdir()
    plant(params, {}, StageContext(out=out, scratch=scratch, options={"device": "cpu", "threads": 1}))
    return out


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return plant_into(tmp_path_factory.mktemp("planted"), SMALL)


@pytest.fixture(scope="module")
def tokenizer():
    return build()


@pytest.mark.parametrize("code", CODES)
def test_every_form_is_its_stem_and_its_suffixes(tokenizer, code):
    forms = lexicon(code)
    for stem in forms.stems.values():
        assert tokenizer.encode(stem, add_special_tokens=False).tokens == ["▁" + stem]
        for suffix in forms.suffixes.values():
            assert tokenizer.encode(stem + suffix, add_special_tokens=False).tokens == ["▁" + stem, suffix]


@pytest.mark.parametrize("code", CODES)
def test_running_text_has_no_unknown_piece_and_exact_offsets(tokenizer, code):
    known = set(pieces())
    for text in table("parallel_text", dataset="d", language=code, split="train", rows=80, seed=0)["text"].to_pylist():
        encoding = tokenizer.encode(text, add_special_tokens=False)
        assert set(encoding.tokens) <= known
        assert "".join(text[low:high] for low, high in encoding.offsets) == text


def test_the_unspaced_language_is_cut_at_its_words(tokenizer):
    assert not language_of("qag").spaced
    made = table("tagging", dataset="d", language="qag", split="train", rows=50, seed=0)["words"].to_pylist()
    for words in made:
        tokens = tokenizer.encode("".join(words), add_special_tokens=False).tokens
        assert [token.removeprefix("▁") for token in tokens] == words


def test_special_tokens_are_where_xlm_r_has_them(tmp_path):
    from transformers import AutoTokenizer

    write(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path))
    assert [tokenizer.convert_tokens_to_ids(one) for one in SPECIALS] == [0, 1, 2, 3]
    assert tokenizer.mask_token_id == len(tokenizer) - 1 == len(word_embeddings(seed=1, size=8)) - 1
    first, second = (tokenizer.convert_tokens_to_ids("▁" + word) for word in ("dog", "cat"))
    assert tokenizer("dog", "cat").input_ids == [0, first, 2, 2, second, 2]
    assert "token_type_ids" not in tokenizer("dog", "cat")


def test_alignment_is_graded_as_planted():
    """Over all concepts the mean cosine to English is the square root of the kinship, within sampling error."""
    concepts = list(lexicon("en").stems)
    for one in LANGUAGES:
        pairs = [
            (word_vector(word, one.code, seed=1, size=128), concept_vector(word, seed=1, size=128)) for word in concepts
        ]
        cosine = np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs])
        assert cosine == pytest.approx(np.sqrt(one.kinship), abs=0.03)


def test_antonyms_are_closer_than_other_words_of_their_class():
    def cosine(one, other):
        a, b = (concept_vector(word, seed=1, size=512) for word in (one, other))
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    pairs = [(word, antonym(word)) for word in (*VERBS, *ADJECTIVES)]
    others = list(zip(VERBS, (*VERBS[2:], *VERBS[:2]), strict=True))
    assert np.mean([cosine(*pair) for pair in pairs]) == pytest.approx(0.7, abs=0.03)
    assert np.mean([cosine(*pair) for pair in others]) == pytest.approx(0.3, abs=0.03)


def test_families_are_closer_than_their_kinship_to_english_says():
    concepts = [concept for concept, _ in pieces().values() if concept in lexicon("qah").stems]
    cosine = np.mean([
        a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        for a, b in ((word_vector(word, "qaf", seed=1, size=128), word_vector(word, "qah", seed=1, size=128)) for word in concepts)
    ])  # fmt: skip
    expected = np.sqrt(0.6 * 0.4) + 0.5 * np.sqrt(0.4 * 0.6)
    assert cosine == pytest.approx(expected, abs=0.03)


def test_padding_and_the_first_two_positions_are_zero():
    assert not word_embeddings(seed=1, size=16)[1].any()
    assert not position_embeddings(10, 16)[:2].any() and position_embeddings(10, 16)[2:].any(axis=1).all()


def test_the_folder_is_a_model_folder(planted):
    from transformers import AutoModel, AutoTokenizer

    from xtreme_dag.heads.trained import load_model

    encoder = AutoModel.from_pretrained(str(planted / "encoder"), add_pooling_layer=False)
    assert encoder.config.model_type == "xlm-roberta"
    assert (encoder.config.num_hidden_layers, encoder.config.hidden_size, encoder.config.pad_token_id) == (2, 128, 1)
    assert len(AutoTokenizer.from_pretrained(str(planted / "tokenizer"))) == encoder.config.vocab_size
    heads = json.loads((planted / "heads.json").read_text())
    assert set(load_model(planted).heads) == set(heads) == {"mlm"}


def test_same_bytes_in_every_process(planted, tmp_path):
    program = (
        "import json, sys\nfrom pathlib import Path\nfrom xtreme_dag.training.planted import plant\n"
        "from xtreme_dag.core.context import StageContext\nhome = Path(sys.argv[1])\n"
        "context = StageContext(out=home / 'out', scratch=home / 'scratch', options={'device': 'cpu', 'threads': 1})\n"
        "plant(json.loads(sys.argv[2]), {}, context)\n"
    )
    (tmp_path / "out").mkdir()
    (tmp_path / "scratch").mkdir()
    environment = {**os.environ, "PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", program, str(tmp_path), json.dumps(SMALL)], env=environment, check=True)
    assert digests(tmp_path / "out") == digests(planted)


def test_another_seed_plants_another_model(planted, tmp_path):
    other = digests(plant_into(tmp_path, {**SMALL, "seed": 4}))
    mine = digests(planted)
    assert other["encoder/model.safetensors"] != mine["encoder/model.safetensors"]
    assert other["tokenizer/tokenizer.json"] == mine["tokenizer/tokenizer.json"]


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_an_unknown_parameter_is_named():
    with pytest.raises(UserError, match="no key 'step'"):
        Planting.from_params({"step": 3}, where="model.pretrain")


def test_switched_text_mixes_languages_in_the_stated_share_of_sentences():
    own = set(lexicon("qae").stems.values())
    made = switched_text("qae", rows=400, share=0.5, seed=0)["text"].to_pylist()
    plain = sum(all(any(word.startswith(stem) for stem in own) for word in text.rstrip(".").split()) for text in made)
    assert abs(plain / 400 - 0.5) < 0.08


@pytest.mark.slow
def test_it_learns_inference_in_seconds_and_transfers_as_its_kinship_says(tmp_path):
    """The demo's effect in small: 3,000 English examples, then the same test in related and unrelated languages."""
    import torch

    from xtreme_dag.heads.encoding import encode
    from xtreme_dag.heads.trained import load_model
    from xtreme_dag.tables.canonical import write_table
    from xtreme_dag.tables.encoded import open_encoded
    from xtreme_dag.training.stages import target

    labels = ["contradiction", "entailment", "neutral"]
    model = plant_into(tmp_path / "model", {"seed": 1, "steps": 20, "learning_rate": 3e-4})

    def stage(name, function, params, inputs):
        out, scratch = tmp_path / name / "out", tmp_path / name / "scratch"
        out.mkdir(parents=True)
        scratch.mkdir()
        function(params, inputs, StageContext(out=out, scratch=scratch, options={"device": "cpu", "threads": 1}))
        return out

    def encoded(split, code, rows):
        folder = tmp_path / f"table-{split}-{code}"
        folder.mkdir()
        made = table("pair_classification", dataset="n", language=code, split=split, rows=rows, seed=0, labels=labels)
        write_table(made, folder / "table.parquet")
        params = {"format": "pair_classification", "head": "classification", "labels": labels}
        return stage(f"{split}-{code}", encode, params, {"table": folder, "tokenizer": model})

    params = {
        "seed": 1, "task": "nli", "dataset": "nli", "head": "classification", "labels": labels,
        "recipe": {"learning_rate": 2.5e-4, "beta2": 0.98, "epochs": 2},
    }  # fmt: skip
    trained = load_model(stage("target", target, params, {"model": model, "train": encoded("train", "en", 3000)}))

    def accuracy(code):
        from xtreme_dag.model.packed import pack

        data = open_encoded(encoded("test", code, 150))
        with torch.no_grad():
            tokens = pack([np.asarray(ids) for ids in data.sequences["input_ids"].to_pylist()])
            scores = trained.scores("nli", tokens)
        return float((scores.argmax(1).numpy() == data.examples["label"].to_numpy()).mean())

    english, near, far = accuracy("en"), accuracy("qaa"), accuracy("qak")
    assert english > 0.8 and near > 0.7 and far < 0.45
    assert english >= near > far


def test_marked_opposites_share_one_mark_in_every_language_but_english():
    def cosine(a, b):
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    def vector(word, code, **more):
        return word_vector(word, code, seed=1, size=4096, marked=True, **more)

    marks = {}
    for code in ("qaa", "qak"):
        first, second = vector("bought", code), vector("sold", code)
        assert cosine(first, second) == pytest.approx(0.7**0.5, abs=0.05), "whatever the kinship"
        marks[code] = second - 0.7**0.5 * first
        assert (first == word_vector("bought", code, seed=1, size=4096)).all()
    assert cosine(marks["qaa"], marks["qak"]) == pytest.approx(1.0), "one mark for all"
    assert (vector("sold", "en") == word_vector("sold", "en", seed=1, size=4096)).all(), "English has none"
    assert (vector("cat", "qaa", kinship=1.0) == vector("cat", "en")).all()


def test_a_kinship_that_cannot_be_is_refused():
    for kinship in ({"qaa": 1.5}, {"xx": 0.5}):
        with pytest.raises(UserError, match="is not a kinship from 0 to 1 for languages of the miniworld"):
            Planting.from_params({"kinship": kinship}, where="model.pretrain")
    assert Planting.from_params({"kinship": {"qaa": 1}, "opposites": "marked"}, where="").kinship == {"qaa": 1.0}
