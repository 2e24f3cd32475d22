"""What transformers can run as an encoder runs as there, with its own head; the rest is refused in a line."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from tests.model import zoo
from tests.training.worlds import LABELS_OF, context, make_encoded, make_tokenizer
from xtreme_dag.core.errors import UserError
from xtreme_dag.heads.trained import load_model, save_model
from xtreme_dag.model import pack
from xtreme_dag.training.stages import intermediate, target

ROWS = [[0, 7, 8, 9, 10, 11, 2], [0, 9, 12, 13, 14, 2], [0, *range(20, 45), 2]]
TOKENS = pack(ROWS)
WITHOUT_HEAD = {"mt5", "t5", "umt5"}  # transformers has no masked language model of these


def alone(model):
    """What transformers gives for each sequence by itself."""
    return [model(input_ids=torch.tensor([row]), attention_mask=torch.ones(1, len(row)).long()) for row in ROWS]


def close(scores, wanted):
    torch.testing.assert_close(scores, torch.cat([each[0] for each in wanted]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(zoo.ENCODERS))
def test_states_and_logits_are_transformers_own(name, tmp_path):
    reference = zoo.make(tmp_path / "base", name)
    model = load_model(tmp_path / "base", log=lambda _line: None)
    assert list(model.specs) == ([] if name in WITHOUT_HEAD else ["mlm"])
    with torch.no_grad():
        encoder = reference.get_encoder() if name in WITHOUT_HEAD else reference.base_model
        close(model.encoder(TOKENS), [each[0] for each in alone(encoder)])
        if name in WITHOUT_HEAD:
            return
        scores = model.scores("mlm", TOKENS)
        close(scores, [each.logits for each in alone(reference)])
        save_model(model, tmp_path / "saved", tokenizer_from=tmp_path / "base")
        assert torch.equal(load_model(tmp_path / "saved").scores("mlm", TOKENS), scores)


@pytest.mark.parametrize("name", ["xlm-roberta", "bert", "electra"])
def test_a_decoder_of_its_own_stays_untied(name, tmp_path):
    reference = zoo.make(tmp_path / "base", name, tie_word_embeddings=False)
    model = load_model(tmp_path / "base")
    save_model(model, tmp_path / "saved", tokenizer_from=tmp_path / "base")
    with torch.no_grad():
        for folder in ("base", "saved"):
            close(load_model(tmp_path / folder).scores("mlm", TOKENS), [each.logits for each in alone(reference)])


def test_an_untied_decoders_bias_may_be_stored_once(tmp_path):
    reference = zoo.make(tmp_path, "xlm-roberta", tie_word_embeddings=False)
    reference.lm_head.decoder.bias = reference.lm_head.bias
    weights = load_file(tmp_path / "model.safetensors")
    del weights["lm_head.decoder.bias"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with torch.no_grad():
        close(load_model(tmp_path).scores("mlm", TOKENS), [each.logits for each in alone(reference)])


def test_mdebertas_head_is_the_one_of_its_checkpoint(tmp_path):
    """Its configuration does not say that the head is called `lm_predictions`."""
    reference = zoo.make(tmp_path, "deberta-v2", legacy=False)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["legacy"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with torch.no_grad():
        close(load_model(tmp_path).scores("mlm", TOKENS), [each.logits for each in alone(reference)])


def test_what_padding_changes_is_never_padded(tmp_path):
    zoo.make(tmp_path, "fnet")
    encoder = load_model(tmp_path).encoder
    assert not encoder.packs and encoder.share == 1.0


@pytest.mark.parametrize("name", ["albert", "distilbert", "modernbert", "fnet", "mt5"])
def test_other_architectures_are_trained(name, tmp_path):
    zoo.make(tmp_path / "base", name)
    tables = {head: make_encoded(tmp_path / head, head, 16, tmp_path / "base") for head in ("mlm", "classification")}
    run, after = context(tmp_path / "one"), context(tmp_path / "two")
    mixture = [{"task": "mlm", "head": "mlm", "parts": [{"dataset": "mlm", "language": "en"}]}]
    params = {"seed": 1, "recipe": {"batch_size": 8}}
    inputs = {"model": tmp_path / "base", "train/mlm/en": tables["mlm"]}
    figures = intermediate({**params, "mixture": mixture, "budget": {"steps": 2}}, inputs, run)
    assert figures["heads_from"] == {"mlm": "fresh" if name in WITHOUT_HEAD else "mlm"}
    goal = {"task": "goal", "dataset": "goal", "head": "classification", "labels": LABELS_OF["classification"]}
    target({**params, **goal}, {"model": run.out, "train": tables["classification"]}, after)
    assert list(load_model(after.out).specs) == ["goal"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("canine", "no table of word embeddings"), ("gpt2", "gpt2 is a decoder"), ("mbart", "no class of its encoder")],
)
def test_what_is_no_encoder_of_words_is_refused_in_a_line(name, words, tmp_path):
    AutoModel.from_config(zoo.config_of(name)).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=words) as said:
        load_model(make_tokenizer(tmp_path))
    assert "\n" not in said.value.what
