"""The examples of docs/studies.md are valid conditions, and the page names every objective and ready study."""

import re
from collections import Counter
from typing import get_args

import pytest
import yaml

from tests.wiring.small_studies import small
from xtreme_dag.study.sections import ObjectiveName
from xtreme_dag.wiring.build import build

EXAMPLES = 8


@pytest.fixture(scope="module")
def page(repository) -> str:
    return (repository / "docs" / "studies.md").read_text()


@pytest.mark.parametrize("number", range(EXAMPLES))
def test_the_examples_are_conditions(page, number):
    blocks = [each for each in _blocks(page) if not each.startswith("recipe:")]
    assert len(blocks) == EXAMPLES
    study = small(yaml.safe_load(blocks[number]), targets=["xcopa"])
    assert study.intermediate


def test_the_examples_of_recipes_are_recipes(page):
    """Grids and adapters: of the named tasks and heads, in a graph."""
    recipes = [yaml.safe_load(each)["recipe"] for each in _blocks(page) if each.startswith("recipe:")]
    assert len(recipes) == 2
    for recipe, wanted in zip(recipes, ({"xnli": 6, "udpos": 2, "pawsx": 2}, {}), strict=True):
        study = small({"none": None}, targets=["xnli", "udpos", "pawsx", "xcopa"], recipe={"name": "quick", **recipe})
        trials = Counter(stage.labels["task"] for stage in build(study).graph if stage.kind == "trial")
        assert trials == wanted


def _blocks(page):
    return re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)


def test_the_page_is_complete(page, repository):
    assert all(f"`{name}`" in page for name in get_args(ObjectiveName))
    full = {
        path.stem
        for path in (repository / "studies").glob("*.yaml")
        if not path.stem.startswith(("mini", "real", "demo"))
    }
    assert full and all(f"`{name}`" in page for name in full)
