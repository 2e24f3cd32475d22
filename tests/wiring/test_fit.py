"""A recipe must fit the study and its encoder: what every stage would refuse is refused by the plan."""

import json

import pytest

from tests.model.zoo import ENCODERS, config_of
from tests.wiring.small_studies import mixture, small
from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.graph import Source
from xtreme_dag.model import encoder
from xtreme_dag.model.folder import new_encoder
from xtreme_dag.study.pretraining import EncoderShape, Planting
from xtreme_dag.training.planted_tokenizer import MAX_LENGTH
from xtreme_dag.wiring.build import build
from xtreme_dag.wiring.fit import MADE_LAYERS, MADE_POSITIONS, Shape, shape_of

NONE = {"none": {}}
SOCIAL = {"dataset": "socialiqa", "languages": ["en"]}


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"encode": {"default": {"max_length": 513}}}, "recipe.encode.default.max_length: 513 tokens are more than the encoder's 512"),
        ({"encode": {"xnli": {"max_length": 600}}}, "recipe.encode.xnli.max_length: 600 tokens"),
        ({"encode": {"span": {"max_length": 48}}}, "recipe.encode.span.query_length: a question of 48 tokens leaves no room"),
        ({"evaluate": {"embedding": {"layer": 3}}}, "recipe.evaluate.embedding.layer: the encoder has no layer 3"),
        ({"encode": {"spann": {"max_length": 64}}}, "recipe.encode: unknown group 'spann'\n  did you mean 'span'"),
        ({"target": {"xnil": {"epochs": 1}}}, "recipe.target: unknown group 'xnil'\n  did you mean 'xnli'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_names_its_key(recipe, words):
    study = small(NONE, targets=["xnli", "xquad", "tatoeba"], recipe={"name": "quick", **recipe})
    with pytest.raises(UserError) as error:
        build(study)
    assert str(error.value).startswith(words)


def test_groups_may_be_called_after_heads_tasks_datasets_and_mixtures():
    groups = ("default", "span", "mlm", "xquad", "squad_v2", "multi", "multi_mlm", "own")
    recipe = {"name": "quick", "intermediate": {group: {"epochs": 1} for group in groups}}
    conditions = {"none": {}, "own": mixture({**SOCIAL, "task": "own"})}
    assert build(small(conditions, recipe=recipe)).graph


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1, "num_hidden_layers": 12}, (512, 12)),
        ({"model_type": "bert", "max_position_embeddings": 512, "num_hidden_layers": 12}, (512, 12)),
        ({"model_type": "distilbert", "max_position_embeddings": 512, "n_layers": 6}, (512, 6)),
        ({"model_type": "deberta-v2", "max_position_embeddings": 512, "num_hidden_layers": 12}, (512, 12)),
        ({"model_type": "deberta-v2", "max_position_embeddings": 512, "position_biased_input": False}, (None, None)),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": None}, (None, None)),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": "1"}, (None, None)),
        ({"model_type": "bert", "max_position_embeddings": True, "num_hidden_layers": "12"}, (None, None)),
        ({"model_type": "modernbert", "max_position_embeddings": 8192, "num_hidden_layers": 22}, (None, 22)),
        ({}, (None, None)),
        ([], (None, None)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["config.json", "encoder/config.json"])
def test_the_shape_of_a_folder_is_read_from_its_config(tmp_path, where, config, shape):
    (tmp_path / where).parent.mkdir(exist_ok=True)
    (tmp_path / where).write_text(json.dumps(config))
    study = small(NONE, model={"folder": str(tmp_path)})
    assert shape_of(study, Source(path=tmp_path)) == Shape(positions=shape[0], layers=shape[1])
    assert shape_of(study, Source(path=tmp_path / "nowhere")) == Shape()


def test_models_that_a_study_makes_have_the_shape_of_their_stages():
    assert MAX_LENGTH == EncoderShape().max_positions == MADE_POSITIONS
    assert Planting().layers == EncoderShape().layers == MADE_LAYERS
    study = small(NONE, model={"pretrain": {"kind": "text", "model": {"max_positions": 64, "layers": 3}}})
    assert shape_of(study, Source(path="/nowhere")) == Shape()


def test_a_setting_without_what_it_sets_is_refused():
    for setting in ({"recipe": {"epochs": 3}}, {"repeat": True}, {"keep_heads": True}):
        with pytest.raises(UserError, match="without a mixture trains nothing: it has no recipe, repeat or keep_heads"):
            small({"a": setting})
    with pytest.raises(UserError, match=r"intermediate.a.recipe: epochs: -3 is not positive"):
        build(small({"a": mixture(SOCIAL, recipe={"epochs": -3})}))


def test_model_types_are_those_of_the_encoder(tmp_path):
    """A plan may not import torch, so `fit` states again what the encoder finds of position tables."""
    made = [(kind, {}) for kind in sorted(encoder.PACKABLE | encoder.PADDED | ENCODERS.keys())]
    for kind, more in [*made, *((kind, {"position_biased_input": True}) for kind in ("deberta", "deberta-v2"))]:
        config = config_of(kind, **more)
        (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
        study = small(NONE, model={"folder": str(tmp_path)})
        found = shape_of(study, Source(path=tmp_path)).positions
        assert found == new_encoder(config, 0).longest_allowed, kind
