"""The examples of docs/studies.md are valid conditions, and the page names every objective and ready study."""

import re
from typing import get_args

import pytest
import yaml

from tests.wiring.small_studies import small
from xtreme_dag.study.conditions import ObjectiveName

EXAMPLES = 8


@pytest.fixture(scope="module")
def page(repository) -> str:
    return (repository / "docs" / "studies.md").read_text()


@pytest.mark.parametrize("number", range(EXAMPLES))
def test_the_examples_are_conditions(page, number):
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == EXAMPLES
    study = small(yaml.safe_load(blocks[number]), targets=["xcopa"])
    assert study.intermediate


def test_the_page_is_complete(page, repository):
    assert all(f"`{name}`" in page for name in get_args(ObjectiveName))
    full = {
        path.stem
        for path in (repository / "studies").glob("*.yaml")
        if not path.stem.startswith(("mini", "real", "demo"))
    }
    assert full and all(f"`{name}`" in page for name in full)
