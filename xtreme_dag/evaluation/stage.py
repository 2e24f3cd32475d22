"""The `evaluate` stage for callers that know a task's head only: it tells formats apart when it runs.

A study's graph had better name the functions of `xtreme_dag.wiring.entry.entry`, so that each task's stages depend
on their own metric's code alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError
from xtreme_dag.evaluation.bucc import evaluate_bucc
from xtreme_dag.evaluation.classification import evaluate_classification
from xtreme_dag.evaluation.multiple_choice import evaluate_multiple_choice
from xtreme_dag.evaluation.qa import evaluate_span_mlqa, evaluate_span_squad, evaluate_span_squad_v2
from xtreme_dag.evaluation.ranking import evaluate_lareqa, evaluate_mewslix
from xtreme_dag.evaluation.tagging import evaluate_tagging
from xtreme_dag.evaluation.tatoeba import evaluate_tatoeba
from xtreme_dag.tables.encoded import open_encoded

Figures = Mapping[str, Any]


def evaluate(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Figures:
    """Evaluates one model on one task and language.

    Args:
        params: `task`, `dataset`, `language`, `split`, `head`, `labels`, `recipe`.
        inputs: `model`, `encoded`, `table`; what else a task can take is said at its function.
        context: `out` receives `predictions.parquet` and `scores.json`; options `device`, `threads`, `batch_tokens`.

    Raises:
        UserError: nothing evaluates this head.
    """
    head = params["head"]
    if head == "classification":
        return evaluate_classification(params, inputs, context)
    if head == "multiple_choice":
        return evaluate_multiple_choice(params, inputs, context)
    if head == "tagging":
        return evaluate_tagging(params, inputs, context)
    if head == "span":
        return evaluate_span(params, inputs, context)
    if head in ("embedding", "dual"):
        return evaluate_retrieval(params, inputs, context)
    raise UserError(f"nothing evaluates the head {head!r}", where=str(params["task"]))


def evaluate_span(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Figures:
    """Question answering: MLQA by its own rules, data with unanswerable questions by SQuAD v2.0's, others by v1.1's."""
    if params["dataset"] == "mlqa":
        return evaluate_span_mlqa(params, inputs, context)
    if not open_encoded(inputs["encoded"]).per_example("answerable").all():
        return evaluate_span_squad_v2(params, inputs, context)
    return evaluate_span_squad(params, inputs, context)


def evaluate_retrieval(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Figures:
    """Retrieval, by the format of the encoded table: Tatoeba, BUCC, LAReQA, Mewsli-X."""
    kind = open_encoded(inputs["encoded"]).info["format"]
    if kind == "bitext_mining":
        return evaluate_bucc(params, inputs, context)
    if kind == "qa_retrieval":
        return evaluate_lareqa(params, inputs, context)
    if kind == "entity_linking":
        return evaluate_mewslix(params, inputs, context)
    if kind == "parallel":
        return evaluate_tatoeba(params, inputs, context)
    raise UserError(f"nothing evaluates the format {kind!r}", where=str(params["task"]))
