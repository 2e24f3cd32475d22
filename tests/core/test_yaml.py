"""YAML as people mean it."""

import pytest
import yaml

from xtreme_dag.core.yaml import _loader, read_yaml


@pytest.mark.parametrize("text", ["1e-5", "1E-5", "1e-05", "1.e-5", "1.0e-5", ".1e-4", "+1e-5", "0.00001"])
def test_every_way_to_write_a_learning_rate_is_a_number(text):
    assert read_yaml(text) == 1e-5


@pytest.mark.parametrize("text", ["e5", "1e", "1e5x", "1-5", "2026-01", "0x1e5z"])
def test_other_texts_stay_texts(text):
    assert read_yaml(text) == text


def test_norwegian_is_no_boolean():
    assert read_yaml("{languages: [no, on, y], yes: true, not: False}") == {
        "languages": ["no", "on", "y"], "yes": True, "not": False}  # fmt: skip


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3", "x: {s: 1, s: 1}"])
def test_a_key_that_stands_twice_is_an_error(text):
    with pytest.raises(yaml.YAMLError, match="stands twice"):
        read_yaml(text)


def test_merge_keys_and_numbers_as_keys_still_work():
    assert read_yaml("base: &b {x: 1}\nmore: {<<: *b, y: 2}\n1: one")["more"] == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.getcwd []",
        "a: !!python/name:os.system ''",
        "- !!python/module:os ''",
        "!!python/object/new:tuple [[1]]",
        "!!python/tuple [1, 2]",
    ],
)
def test_a_text_makes_no_object_and_calls_nothing(text):
    with pytest.raises(yaml.constructor.ConstructorError, match="could not determine a constructor"):
        read_yaml(text)


def test_what_can_be_made_of_a_text_is_what_pyyamls_safe_loader_makes():
    assert _loader().yaml_constructors == yaml.SafeLoader.yaml_constructors
    assert _loader().yaml_multi_constructors == yaml.SafeLoader.yaml_multi_constructors == {}
