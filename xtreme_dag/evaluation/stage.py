"""The `evaluate` stage for callers that have a task and no dotted name: a notebook, a script.

A study's graph names the functions of `xtreme_dag.evaluation.entry` instead, so that each task's stages depend on their
own metric's code alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xtreme_dag.evaluation.bucc import evaluate_bucc
from xtreme_dag.evaluation.classification import evaluate_classification
from xtreme_dag.evaluation.entry import entry
from xtreme_dag.evaluation.multiple_choice import evaluate_multiple_choice
from xtreme_dag.evaluation.qa import evaluate_span_mlqa, evaluate_span_squad, evaluate_span_squad_v2
from xtreme_dag.evaluation.tagging import evaluate_tagging
from xtreme_dag.evaluation.tatoeba import evaluate_tatoeba
from xtreme_dag.stages.context import StageContext

_FUNCTIONS = {
    function.__name__: function
    for function in (
        evaluate_classification,
        evaluate_multiple_choice,
        evaluate_tagging,
        evaluate_span_squad,
        evaluate_span_mlqa,
        evaluate_span_squad_v2,
        evaluate_tatoeba,
        evaluate_bucc,
    )
}


def evaluate(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Evaluates one model on one task and language, by the task's head and metric.

    Args:
        params: `task`, `dataset`, `language`, `split`, `head`, `labels`, `metric`, `recipe`.
        inputs: `model`, `encoded`, `table`; what else a task needs is said at its function.
        context: `out` receives `predictions.parquet` and `scores.json`; options `device`, `threads`, `batch_tokens`.

    Raises:
        UserError: nothing evaluates this head by this metric.
    """
    name = entry(str(params["head"]), str(params["metric"])).partition(":")[2]
    return _FUNCTIONS[name](params, inputs, context)
