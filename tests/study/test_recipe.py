"""Recipes: every setting of every section is typed and bounded, and a mistake names its key."""

import dataclasses

import pytest

from xtreme_dag.core.errors import UserError
from xtreme_dag.evaluation.embeddings import POOLINGS
from xtreme_dag.evaluation.engine import PRECISIONS
from xtreme_dag.evaluation.mining import MARGINS, REPEATS
from xtreme_dag.evaluation.tatoeba import SIMILARITIES
from xtreme_dag.heads.encoding import EncodeParams
from xtreme_dag.study.recipe import FOLDER, checked_settings, load_recipe
from xtreme_dag.study.recipe_settings import SETTINGS, EncodeSettings, trials_of

# Section -> setting -> values that cannot be.
WRONG = {
    "encode": {
        "max_length": (0, -1, 4, 1.5, "long", True, None),
        "doc_stride": (0, -128, 0.5, 64.5, "half", None),
        "query_length": (0, -1, 2.5, None),
    },
    "evaluate": {
        "layer": (-1, 1.5, "last"),
        "vectors": ("tatoba", 1),
        "pooling": ("meen", 1),
        "similarity": ("cosin", 1),
        "margin": ("difference",),
        "margin_k": (0, -4, 1.5),
        "repeats": ("kept",),
        "sweep": ("yes", 1),
        "model_of": (1,),
        "n_best": (0, -20, 1.5),
        "save_n_best": ("yes", 0),
        "max_answer_length": (0, -1, 1.5),
        "null_threshold": ("high",),
        "precision": ("float16", "bf16"),
    },
    "target": {
        "examples": (0, -1, 1.5),
        "same_examples": ("yes", 1),
        "grid": ("learning_rate", 3, [1]),
        "grid_seeds": ("one", 1),
    },
}
TRAINING = {
    "learning_rate": (0, -1e-5, 1e300, "fast"),
    "head_learning_rate": (0, -1e-5, "fast"),
    "batch_size": (0, -1, 1.5),
    "micro_batch_tokens": (0, -1, 1.5),
    "epochs": (0, -1, 1e308),
    "steps": (0, -1, 1.5),
    "warmup": (-0.1, 1.5),
    "schedule": ("cosine",),
    "weight_decay": (-0.1,),
    "max_grad_norm": (-1,),
    "beta1": (0, 1, -0.1),
    "beta2": (0, 1),
    "epsilon": (0, -1e-8),
    "dropout": (-0.1, 1),
    "mlm_probability": (0, 1),
    "mixing": ("both",),
    "select_every": (-1, 1.5),
    "select_examples": (0, -1),
    "patience": (-1,),
    "precision": ("fp16",),
    "tf32": (1,),
    "trim_vocabulary": ("no",),
    "activation_checkpointing": (1,),
    "out_of_memory": ("pray",),
    "devices": (0, 1.5),
    "strategy": ("dp",),
    "storage": ("fp16", 16),
    "lora": (8, "yes"),
}
CASES = [
    (section, setting, value)
    for section, settings in {**WRONG, "intermediate": TRAINING, "target": {**TRAINING, **WRONG["target"]}}.items()
    for setting, values in settings.items()
    for value in values
]


@pytest.mark.parametrize(("section", "setting", "value"), CASES)
def test_a_value_that_cannot_be_names_its_key(section, setting, value):
    with pytest.raises(UserError) as error:
        load_recipe({"name": "quick", section: {"span": {setting: value}}})
    assert str(error.value).startswith(f"recipe.{section}.span: {setting}: ")


def test_every_setting_has_a_value_that_cannot_be():
    for section, kind in SETTINGS.items():
        tried = {setting for each, setting, _ in CASES if each == section}
        assert tried == {field.name for field in dataclasses.fields(kind)}, section


def test_shipped_recipes_are_right():
    for name in (path.stem for path in FOLDER.glob("*.yaml")):
        assert load_recipe({"name": name}).sections["target"]["default"]
    assert checked_settings({"layer": None, "null_threshold": 1}, "here", "evaluate") == {
        "layer": None,
        "null_threshold": 1,
    }


def test_choices_and_defaults_are_those_of_the_stages():
    """A plan must not import the stages, so what it knows of them stands twice."""
    choices = {"pooling": POOLINGS, "similarity": SIMILARITIES, "margin": MARGINS, "repeats": REPEATS,
               "precision": PRECISIONS}  # fmt: skip
    for setting, values in choices.items():
        for value in values:
            checked_settings({setting: value}, "here", "evaluate")
        with pytest.raises(UserError, match="is not one of") as error:
            checked_settings({setting: "zzzzzzzz"}, "here", "evaluate")
        assert set(error.value.what.partition(" is not one of ")[2].split(", ")) == set(values)
    lengths = EncodeSettings()
    assert {name: getattr(EncodeParams(format="", head=""), name) for name in vars(lengths)} == vars(lengths)


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({}, "recipe.target.span.grid: names no setting"),
        ({"lerning_rate": [1]}, "recipe.target.span.grid: unknown setting of trials 'lerning_rate'"),
        ({"learning_rate": [1e-5, -1.0]}, "recipe.target.span.grid: learning_rate: -1.0 is not positive"),
        ({"learning_rate": []}, "recipe.target.span.grid.learning_rate: has no values, or one twice"),
        ({"epochs": [2, 2]}, "recipe.target.span.grid.epochs: has no values, or one twice"),
        ({"learning_rate": 1e-5}, "recipe.target.span: grid.learning_rate: 1e-05 is not a list"),
        ({"devices": [1, 2]}, "recipe.target.span.grid: unknown setting of trials 'devices'"),
        ({"select_examples": [1, 2]}, "recipe.target.span.grid: unknown setting of trials 'select_examples'"),
    ],
)
def test_a_grid_that_cannot_be_names_its_setting(grid, said):
    with pytest.raises(UserError) as error:
        load_recipe({"name": "quick", "target": {"span": {"grid": grid}}})
    assert str(error.value).startswith(said)


def test_a_grid_outside_of_groups_is_that_of_all():
    grid = {"learning_rate": [1e-5, 3e-5], "lora": [None, {"rank": 4}]}
    short = load_recipe({"name": "quick", "target": {"grid": grid, "default": {"epochs": 2}}})
    assert short == load_recipe({"name": "quick", "target": {"default": {"epochs": 2, "grid": grid}}})
    assert short.settings("target", "tagging")["grid"] == grid
    assert trials_of(grid) == [
        {"learning_rate": rate, "lora": lora} for rate in (1e-5, 3e-5) for lora in (None, {"rank": 4})
    ]
    with pytest.raises(UserError, match="unknown setting 'grid'"):
        load_recipe({"name": "quick", "intermediate": {"default": {"grid": grid}}})
