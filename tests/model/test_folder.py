"""Model folders: what is written is read back, bit for bit; what cannot be trusted is refused."""

import json
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForMaskedLM

from tests.training.worlds import LABELS, TAGS, make_base, make_tokenizer, tiny_config
from xtreme_dag.core.errors import UserError
from xtreme_dag.heads import HeadSpec
from xtreme_dag.heads.trained import build_head, load_model, save_model
from xtreme_dag.model import pack
from xtreme_dag.model.folder import load_encoder
from xtreme_dag.model.layers import initialise
from xtreme_dag.tables.tokenizer_files import load_tokenizer

SPECS = {
    "nli": HeadSpec(kind="classification", labels=tuple(LABELS)),
    "choice": HeadSpec(kind="multiple_choice"),
    "pos": HeadSpec(kind="tagging", labels=tuple(TAGS)),
    "qa": HeadSpec(kind="span"),
    "mlm": HeadSpec(kind="mlm"),
    "retrieval": HeadSpec(kind="dual"),
}
TOKENS = pack([[0, 7, 8, 2], [0, 9, 2], [0, 5, 6, 7, 8, 2]])


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def model(base):
    made = load_model(base)
    for number, (name, spec) in enumerate(SPECS.items()):
        initialise(made.add_head(name, spec), 0.1, number)
    return made


def all_scores(model):
    with torch.no_grad():
        return {name: model.scores(name, TOKENS) for name in model.specs}


def test_a_model_comes_back_as_it_was(model, base, tmp_path):
    for name in ("one", "two"):
        save_model(model, tmp_path / name, tokenizer_from=base)
    names = ["encoder/config.json", "encoder/model.safetensors", "heads.json", "heads.safetensors",
             "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"]  # fmt: skip
    assert sorted(path.relative_to(tmp_path / "one").as_posix() for path in (tmp_path / "one").rglob("*.*")) == names
    for name in names:
        content = (tmp_path / "one" / name).read_bytes()
        assert content == (tmp_path / "two" / name).read_bytes()
        assert str(tmp_path).encode() not in content and b"/model" not in content
    again = load_model(tmp_path / "one")
    assert again.specs == model.specs
    for name, scores in all_scores(model).items():
        assert torch.equal(all_scores(again)[name], scores), name
    assert load_tokenizer(tmp_path / "one").encode(["w1 w2"], None, 9).ids.tolist() == [0, 6, 7, 2]


def test_the_encoder_is_a_plain_hugging_face_model(model, base, tmp_path):
    save_model(model, tmp_path, tokenizer_from=base)
    plain = AutoModel.from_pretrained(tmp_path / "encoder", add_pooling_layer=False).eval()
    with torch.no_grad():
        alone = plain(input_ids=TOKENS.input_ids[None, :4]).last_hidden_state[0]
        torch.testing.assert_close(model.encoder(TOKENS)[:4], alone, atol=1e-5, rtol=1e-4)


def test_scores_have_the_shapes_they_state(model):
    shapes = {name: tuple(scores.shape) for name, scores in all_scores(model).items()}
    assert shapes == {
        "nli": (3, 2),
        "choice": (3,),
        "pos": (13, 3),
        "qa": (13, 2),
        "mlm": (13, 65),
        "retrieval": (3, 32),
    }
    at = torch.tensor([1, 5])
    with torch.no_grad():
        hidden = model.encoder(TOKENS)
        for name in SPECS:
            where, head = at if name in ("pos", "mlm") else None, model.head(name)
            read = {"first": TOKENS.first, "every": torch.arange(len(hidden)), "chosen": at}[head.reads]
            wanted = head.scores(hidden[read], model.encoder.word_embeddings())
            torch.testing.assert_close(model.scores(name, TOKENS, where), wanted, atol=1e-5, rtol=1e-4)
        assert torch.allclose(model.scores("retrieval", TOKENS).norm(dim=1), torch.ones(3))


@pytest.mark.parametrize("kind", ["xlm-roberta", "bert"])
def test_the_pretrained_output_layers_are_adopted(tmp_path, kind):
    """A checkpoint with its masked language modelling head gives transformers' own scores."""
    torch.manual_seed(4)
    whole = AutoModelForMaskedLM.from_config(tiny_config(kind)).eval()
    for parameter in whole.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    whole.save_pretrained(tmp_path)
    model = load_model(make_tokenizer(tmp_path))
    assert model.specs == {"mlm": HeadSpec(kind="mlm")}
    with torch.no_grad():
        wanted = whole(input_ids=TOKENS.input_ids[None, :4]).logits[0]
        torch.testing.assert_close(model.scores("mlm", TOKENS)[:4], wanted, atol=1e-4, rtol=1e-4)


def test_pickled_weights_are_refused(tmp_path):
    make_base(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UserError, match="no weights"):
        load_model(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(UserError, match=r"only pickled weights \(pytorch_model.bin\)"):
        load_model(tmp_path)


def test_folders_without_a_model_or_tokenizer_are_named(tmp_path):
    with pytest.raises(UserError, match=r"no config\.json"):
        load_model(tmp_path)
    with pytest.raises(UserError, match="no tokenizer"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("layers", [0, 10**4, 10**400])
def test_a_number_of_layers_that_cannot_be_is_refused_at_once(base, tmp_path, layers):
    shutil.copytree(base, tmp_path / "model")
    path = next((tmp_path / "model").rglob("config.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_hidden_layers": layers}))
    with pytest.raises(UserError, match=r"without layers|larger than the number of weights"):
        load_encoder(path.parent, log=print)


def test_heads_that_are_not_there_are_named(model):
    with pytest.raises(UserError, match="did you mean 'retrieval'"):
        model.scores("retreival", TOKENS)
    with pytest.raises(UserError, match="no head 'spam'"):
        build_head(HeadSpec(kind="spam"), model.encoder.config, model.encoder.word_embeddings())
    with pytest.raises(UserError, match="at least two labels"):
        build_head(HeadSpec(kind="tagging", labels=("one",)), model.encoder.config, model.encoder.word_embeddings())


def test_heads_start_from_the_seed_alone(model):
    def made(seed):
        head = build_head(SPECS["mlm"], model.encoder.config, model.encoder.word_embeddings())
        torch.manual_seed(np.random.default_rng().integers(1000))
        initialise(head, 0.02, seed)
        return torch.cat([parameter.flatten() for parameter in head.parameters()])

    assert torch.equal(made(1), made(1)) and not torch.equal(made(1), made(2))
    head = build_head(SPECS["mlm"], model.encoder.config, model.encoder.word_embeddings())
    initialise(head, 0.02, 1)
    assert (head.lm_head.layer_norm.weight == 1).all() and (head.lm_head.layer_norm.bias == 0).all()
    assert (head.lm_head.bias == 0).all()


def test_loading_is_quiet(base, capfd):
    load_model(base)
    assert capfd.readouterr() == ("", "")
    assert json.loads((base / "config.json").read_text())["model_type"] == "xlm-roberta"
