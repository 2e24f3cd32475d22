"""Which stage function evaluates what: dotted names, so that a plan imports nothing heavy.

`entry` names the narrowest function: it reaches its own metric only, so that a repaired chunk F1 re-evaluates tagging
and nothing else. `EVALUATORS` has one function per head, which tells tasks apart by the format of the encoded table.
"""

from __future__ import annotations

from xtreme_dag.core.errors import UserError, nearest

EVALUATORS: dict[str, str] = {
    "classification": "xtreme_dag.evaluation.classification:evaluate_classification",
    "multiple_choice": "xtreme_dag.evaluation.multiple_choice:evaluate_multiple_choice",
    "tagging": "xtreme_dag.evaluation.tagging:evaluate_tagging",
    "span": "xtreme_dag.evaluation.stage:evaluate_span",
    "embedding": "xtreme_dag.evaluation.stage:evaluate_retrieval",
    "dual": "xtreme_dag.evaluation.stage:evaluate_retrieval",
}

FORMATS: dict[str, str] = {
    "pair_classification": "xtreme_dag.evaluation.classification:evaluate_classification",
    "multiple_choice": "xtreme_dag.evaluation.multiple_choice:evaluate_multiple_choice",
    "tagging": "xtreme_dag.evaluation.tagging:evaluate_tagging",
    "span_qa": "xtreme_dag.evaluation.qa:evaluate_span_squad",
    "parallel": "xtreme_dag.evaluation.tatoeba:evaluate_tatoeba",
    "bitext_mining": "xtreme_dag.evaluation.bucc:evaluate_bucc",
    "qa_retrieval": "xtreme_dag.evaluation.ranking:evaluate_lareqa",
    "entity_linking": "xtreme_dag.evaluation.ranking:evaluate_mewslix",
}

# Datasets of the format span_qa that do not follow SQuAD v1.1's rules.
SPAN_RULES: dict[str, str] = {
    "mlqa": "xtreme_dag.evaluation.qa:evaluate_span_mlqa",
    "squad_v2": "xtreme_dag.evaluation.qa:evaluate_span_squad_v2",
    "squad_es_v2": "xtreme_dag.evaluation.qa:evaluate_span_squad_v2",
}

# One search for the queries of all languages, before the evaluations of these formats; see `evaluation.pooled`.
RANK_POOL = "xtreme_dag.evaluation.pooled:rank_pool"


def entry(table_format: str, dataset: str) -> str:
    """The dotted name of the stage function that evaluates a dataset.

    Args:
        table_format: the dataset's canonical format.
        dataset: its name in the catalogue.

    Raises:
        UserError: nothing evaluates this format.
    """
    if table_format not in FORMATS:
        raise UserError(f"nothing evaluates the format {table_format!r}", fix=nearest(table_format, FORMATS))
    return SPAN_RULES.get(dataset, FORMATS[table_format]) if table_format == "span_qa" else FORMATS[table_format]
