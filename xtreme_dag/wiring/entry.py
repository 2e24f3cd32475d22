"""Which stage function evaluates a dataset: dotted names that the heads declare, so that a plan imports nothing heavy.

Each function reaches its own metric only, so that a repaired chunk F1 re-evaluates tagging and nothing else.
"""

from __future__ import annotations

from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.heads import HEADS, head_of

# One search for the queries of all languages, before the evaluations of pooled formats; see `evaluation.pooled`.
RANK_POOL = "xtreme_dag.evaluation.pooled:rank_pool"


def evaluators() -> dict[str, str]:
    """Canonical format -> dotted name of the stage function that evaluates its datasets."""
    return {format: function for head in HEADS.values() for format, function in head.evaluate.items()}


def entry(format: str, dataset: str, head: str | None = None) -> str:
    """The dotted name of the stage function that evaluates a dataset.

    Args:
        format: the dataset's canonical format.
        dataset: its name in the catalogue.
        head: the task's head, whose own function comes first; else that of the head which evaluates the format.

    Raises:
        UserError: nothing evaluates this format.
    """
    for declared in (*([head_of(head)] if head else []), *HEADS.values()):
        if format in declared.evaluate:
            return declared.rules.get(dataset, declared.evaluate[format])
    raise UserError(f"nothing evaluates the format {format!r}", fix=nearest(format, evaluators()))
