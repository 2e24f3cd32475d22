"""Which stage function evaluates what: dotted names, so that a plan imports nothing heavy.

Every function reaches its own metric only: a repaired chunk F1 re-evaluates tagging and nothing else.
"""

from __future__ import annotations

from xtreme_dag.errors import UserError, nearest

# head:metric (as the catalogue spells them) -> function
ENTRIES: dict[str, str] = {
    "classification:accuracy": "xtreme_dag.evaluation.classification:evaluate_classification",
    "multiple_choice:accuracy": "xtreme_dag.evaluation.multiple_choice:evaluate_multiple_choice",
    "tagging:seqeval_f1": "xtreme_dag.evaluation.tagging:evaluate_tagging",
    "span:squad_em_f1": "xtreme_dag.evaluation.qa:evaluate_span_squad",
    "span:mlqa_em_f1": "xtreme_dag.evaluation.qa:evaluate_span_mlqa",
    "span:squad_v2_em_f1": "xtreme_dag.evaluation.qa:evaluate_span_squad_v2",
    "embedding:accuracy": "xtreme_dag.evaluation.tatoeba:evaluate_tatoeba",
    "embedding:mining_f1": "xtreme_dag.evaluation.bucc:evaluate_bucc",
}


def entry(head: str, metric: str) -> str:
    """The dotted name of the stage function for a task's head and metric.

    Raises:
        UserError: nothing evaluates this pair.
    """
    key = f"{head}:{metric}"
    if key not in ENTRIES:
        raise UserError(f"nothing evaluates the head {head!r} by {metric!r}", fix=nearest(key, ENTRIES))
    return ENTRIES[key]
