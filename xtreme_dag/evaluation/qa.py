"""Evaluate question answering by the rules of SQuAD v1.1, MLQA or SQuAD v2.0: one stage function for each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError
from xtreme_dag.evaluation.span import (
    Answers,
    answer_columns,
    answer_questions,
    chosen,
    confidence,
    gold_answers,
    write_n_best,
)
from xtreme_dag.evaluation.spans import Answer
from xtreme_dag.scoring import mlqa, squad, squad_v2
from xtreme_dag.scoring.columns import FloatArray, figures
from xtreme_dag.scoring.overlap import FAMILY as ANSWERS
from xtreme_dag.tables.predictions import cluster_columns, spread, write_evaluation

# The codes that ISO 639-2 reserves for private use: the miniworld's languages.
_INVENTED = re.compile("q[a-t][a-z]")

Scorer = Callable[[Sequence[Sequence[str]], Sequence[str]], dict[str, FloatArray]]


def evaluate_span_squad(
    params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext
) -> Mapping[str, Any]:
    """Answers and scores by SQuAD v1.1's rules, which XQuAD and TyDiQA-GoldP apply to every language.

    Args:
        params: `task`, `language`, `split`, `recipe` (see `answer_questions`; `save_n_best` writes all n-best lists).
        inputs: `model`, `encoded`, `table`.
        context: see `settings_of` for the options.
    """
    answers = answer_questions(params, inputs, context)
    return _write(params, context, answers, squad.statistics)


def evaluate_span_mlqa(
    params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext
) -> Mapping[str, Any]:
    """As `evaluate_span_squad`, by MLQA's rules for the language of the context; invented ones have no articles."""
    language = str(params["language"])
    if _INVENTED.fullmatch(language):
        # Hindi has the rules that hold everywhere, without articles.
        language = "hi"
    if language not in mlqa.LANGUAGES:
        raise UserError(
            f"MLQA has no rules for the language {language!r}",
            where=str(params["task"]),
            fix=f"its languages: {', '.join(mlqa.LANGUAGES)}; other tasks use SQuAD's rules",
        )
    answers = answer_questions(params, inputs, context)
    return _write(params, context, answers, lambda gold, given: mlqa.statistics(gold, given, language))


def _write(params: Mapping[str, Any], context: StageContext, answers: Answers, scorer: Scorer) -> Mapping[str, Any]:
    given = chosen(answers, None)
    gold = gold_answers(answers)
    known = np.array([len(texts) > 0 for texts in gold], dtype=bool)
    rows = np.flatnonzero(known).tolist()
    right = scorer([gold[row] for row in rows], [_text(given[row]) for row in rows])
    metrics = figures(ANSWERS.metrics, right) if rows else {}
    return _finish(params, context, answers, given, spread(known, right), metrics, null=False)


def evaluate_span_squad_v2(
    params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext
) -> Mapping[str, Any]:
    """Answers questions that may have no answer and scores by SQuAD v2.0's rules.

    Args:
        params: `task`, `language`, `split`, `recipe` (see `answer_questions`; `null_threshold`, default 0: how much
            better "no answer" must score; `save_n_best`).
        inputs: `model`, `encoded`, `table`.
        context: see `settings_of` for the options.
    """
    answers = answer_questions(params, inputs, context)
    given = chosen(answers, float((params.get("recipe") or {}).get("null_threshold") or 0.0))
    right = squad_v2.statistics(gold_answers(answers), [_text(answer) for answer in given])
    metrics = figures(squad_v2.FAMILY.metrics, right)
    return _finish(params, context, answers, given, right, metrics, null=True)


def _text(answer: Answer | None) -> str:
    return "" if answer is None else answer.text


def _finish(
    params: Mapping[str, Any],
    context: StageContext,
    answers: Answers,
    given: Sequence[Answer | None],
    statistics: Mapping[str, NDArray[np.float64]],
    metrics: Mapping[str, float],
    *,
    null: bool,
) -> Mapping[str, Any]:
    if (params.get("recipe") or {}).get("save_n_best"):
        write_n_best(context.out, answers)
    write_evaluation(
        context.out,
        params,
        ids=answers.table.example_ids,
        languages=answers.table.languages,
        tokens=answers.table.example_lengths,
        gold=[json.dumps(texts, ensure_ascii=False) if texts or null else None for texts in gold_answers(answers)],
        predictions=[_text(answer) for answer in given],
        scores=confidence(answers, given, null=null),
        statistics=statistics,
        metrics=metrics,
        primary=ANSWERS.primary,
        more={**answer_columns(answers, given), **cluster_columns(params, answers.rows)},
    )
    return {"examples": len(answers.best), "tokens": int(answers.table.lengths.sum())}
