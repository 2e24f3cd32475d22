"""YAML as people mean it."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from xtreme_dag.core.yaml import _loader, read_yaml, yaml_fault


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


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("study: a\n\tseeds: [1]\n", "line 2: '\\tseeds: [1]' is indented with a tab; YAML takes blanks only"),
        ("study: a\nmodel:\n\tseed: 1\n", "line 3: '\\tseed: 1' is indented with a tab; YAML takes blanks only"),
        (
            "a: 1\nb:\n  c: 1\n   d: 2\n",
            "line 4: '   d: 2' is indented by 3 blanks, where 0 or 2 would fit the lines before",
        ),
        (
            "a: 1\nb:\n    c: 1\n  d: 2\n",
            "line 4: '  d: 2' is indented by 2 blanks, where 0 or 4 would fit the lines before",
        ),
        ("a: 1\n\n# c\n b: 2\n", "line 4: ' b: 2' is indented by 1 blanks, where 0 would fit the lines before"),
        ("a: b: c\n", "line 1: 'a: b: c' has a second ': '; a value with one needs quotes"),
        ("b: 1\na: [1, 2\nc: 3\n", "line 2: 'a: [1, 2' opens a quote or bracket that is not closed"),
        ("a: 'x\nb: 3\n", 'line 1: "a: \'x" opens a quote or bracket that is not closed'),
        ("a: @b\n", "line 1: 'a: @b' has a value that begins with '@'; it needs quotes"),
        ("- a\nb: c\n", "line 2: 'b: c' is no item ('- ...') of the list before it"),
        ("a: 1\na: 2\n", "line 2: 'a: 2' cannot be read: the key 'a' stands twice"),
    ],
)
def test_a_fault_is_told_by_its_line_and_what_is_seen_there(text, told):
    with pytest.raises(yaml.YAMLError) as error:
        read_yaml(text)
    assert yaml_fault(error.value, text) == told


@given(st.text(alphabet="ab:- \t\n[]{}'\"#&*@%,1", max_size=40))
def test_whatever_is_no_yaml_has_a_line_of_words(text):
    try:
        read_yaml(text)
    except yaml.YAMLError as error:
        told = yaml_fault(error, text)
        assert told and "\n" not in told and len(told) < 250
