"""Every number of a study file is bounded, and nothing but a number is one."""

import math
import types
import typing

import pytest
from pydantic import TypeAdapter, ValidationError

from tests.wiring.small_studies import mixture, small
from xtreme_dag.core.errors import UserError
from xtreme_dag.study.file import Study
from xtreme_dag.study.pretraining import EncoderShape, Planting, TextPretraining
from xtreme_dag.study.train_recipe import Lora
from xtreme_dag.wiring.build import build

EN = {"dataset": "xnli", "languages": ["en"]}
TEXT = {"kind": "text", "seed": 1, "vocabulary_size": 100, "recipe": {"steps": 1}, "text": {"xnli": {"train": ["en"]}}}


def models(annotation, found):
    """The models that a type is made of, theirs included; recipes have a walk of their own."""
    if isinstance(annotation, type) and hasattr(annotation, "__pydantic_fields__"):
        if annotation not in found:
            found.append(annotation)
            for field in annotation.__pydantic_fields__.values():
                models(field.annotation, found)
        return found
    for inner in typing.get_args(annotation):
        models(inner, found)
    return found


def is_number(annotation):
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        return any(map(is_number, typing.get_args(annotation)))
    return annotation in (int, float)


NUMBERS = [
    (model, name)
    for start in (Study, Planting, EncoderShape, TextPretraining, Lora)
    for model in models(start, [])
    for name, field in model.__pydantic_fields__.items()
    if is_number(field.annotation)
]


@pytest.mark.parametrize("value", [-1, True, "3", math.nan])
@pytest.mark.parametrize(("model", "name"), NUMBERS, ids=lambda each: getattr(each, "__name__", each))
def test_what_is_no_number_or_below_zero_is_refused(model, name, value):
    with pytest.raises(ValidationError) as error:
        TypeAdapter(model).validate_python({name: value})
    assert name in {entry["loc"][0] for entry in error.value.errors() if entry["loc"]}


def test_the_walk_meets_all_groups():
    assert {model.__name__ for model, _ in NUMBERS} == {
        "Miniworld", "Limits", "Component", "Objective", "Translation", "Sampling", "Budget", "Compare", "Planting",
        "EncoderShape", "TextPretraining", "Lora",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"seeds": [True]}, "seeds.0: True is not a number"),
        ({"compare": {"baseline": "none", "resamples": 10**12}}, "compare.resamples"),
        ({"intermediate": {"none": {}, "a": mixture({**EN, "share": 5})}}, "the shares of the mixture sum to 5"),
        (
            {"intermediate": {"none": {}, "a": mixture({**EN, "sampling": {"rule": "temperature", "temperature": 1e-9}})}},
            "a temperature below 0.1",
        ),
        ({"model": {"pretrain": {**TEXT, "vocabulary_size": 5}}}, "model.pretrain: vocabulary_size: 5 is not more than"),
        ({"model": {"pretrain": {**TEXT, "max_length": 4}}}, "a max_length of 4 is not above 4"),
        ({"model": {"pretrain": {**TEXT, "max_length": 513}}}, "is not above 4 and within 512 positions"),
        ({"data": {"miniworld": {}, "limit": {"datasets": {"xnil": {"train": 5}}}}}, "unknown dataset 'xnil'"),
        ({"data": {"miniworld": {}, "limit": {"datasets": {"xnli": {"trian": 5}}}}}, "datasets.xnli: unknown split 'trian'"),
    ],
)  # fmt: skip
def test_what_a_stage_would_refuse_or_pass_over_is_refused_by_the_plan(more, words):
    with pytest.raises(UserError) as error:
        build(small({"none": {}}, **more))
    assert words in str(error.value)
