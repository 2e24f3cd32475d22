"""Which function evaluates what, and what code each of them hangs on."""

import importlib
import subprocess
import sys

import pytest

from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.fingerprint import CodeBase
from xtreme_dag.heads import HEADS
from xtreme_dag.tables.canonical import SCHEMAS
from xtreme_dag.wiring.entry import RANK_POOL, entry, evaluators

METRICS = {
    "xtreme_dag.evaluation.classification:evaluate_classification": {"accuracy"},
    "xtreme_dag.evaluation.multiple_choice:evaluate_multiple_choice": {"accuracy"},
    "xtreme_dag.evaluation.tatoeba:evaluate_tatoeba": {"accuracy"},
    "xtreme_dag.evaluation.tagging:evaluate_tagging": {"tagging", "tagcodes"},
    "xtreme_dag.evaluation.bucc:evaluate_bucc": {"mining"},
    "xtreme_dag.evaluation.ranking:evaluate_lareqa": {"ranking"},
    "xtreme_dag.evaluation.ranking:evaluate_mewslix": {"ranking"},
    "xtreme_dag.evaluation.dialogue:evaluate_dialogues": {"dialogue"},
    "xtreme_dag.evaluation.qa:evaluate_span_squad": {"squad", "overlap"},
    "xtreme_dag.evaluation.qa:evaluate_span_mlqa": {"mlqa", "overlap"},
    "xtreme_dag.evaluation.qa:evaluate_span_squad_v2": {"squad_v2", "squad", "overlap"},
}


@pytest.fixture(scope="module")
def code():
    return CodeBase.current()


@pytest.mark.parametrize("function", sorted({*METRICS, RANK_POOL}))
def test_every_name_is_a_function(function):
    module, _, name = function.partition(":")
    assert callable(vars(importlib.import_module(module))[name])


@pytest.mark.parametrize("function", sorted(METRICS))
def test_a_repaired_metric_re_evaluates_only_what_uses_it(code, function):
    package = "xtreme_dag.scoring."
    reached = {
        name.removeprefix(package).split(".")[0] for name in code.fingerprint(function) if name.startswith(package)
    }
    assert reached - {"columns", "combine"} == METRICS[function]


def test_a_repaired_metric_searches_no_pool_again(code):
    assert not [name for name in code.fingerprint(RANK_POOL) if ".scoring." in name]


def test_no_evaluation_hangs_on_training(code):
    for function in METRICS:
        assert not [name for name in code.fingerprint(function) if name.startswith("xtreme_dag.training")]


def test_each_format_and_each_exception_has_its_function():
    assert set(evaluators()) <= set(SCHEMAS)
    declared = {*evaluators().values(), *(function for head in HEADS.values() for function in head.rules.values())}
    assert declared == set(METRICS)
    assert entry("span_qa", "xquad").endswith(":evaluate_span_squad")
    assert entry("span_qa", "mlqa").endswith(":evaluate_span_mlqa")
    assert entry("tagging", "mlqa").endswith(":evaluate_tagging")
    with pytest.raises(UserError, match="did you mean 'tagging'"):
        entry("taging", "udpos")


def test_names_are_found_without_heavy_imports():
    script = (
        "import sys, xtreme_dag.wiring.entry; print([m for m in ('torch', 'numpy', 'pyarrow') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
