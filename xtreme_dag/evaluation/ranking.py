"""Evaluate one language's queries from a ranking of the multilingual pool: LAReQA and Mewsli-X."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError
from xtreme_dag.evaluation.pooled import DEPTH, ranked_rows
from xtreme_dag.scoring.columns import FloatArray, figures
from xtreme_dag.scoring.ranking import FAMILY, FAMILY_UNCUT, statistics, statistics_from_ranks
from xtreme_dag.tables.predictions import spread, write_evaluation


def evaluate_lareqa(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Scores one language's questions: mAP@20 over the pooled candidates of all languages, and the full mAP.

    Beside the official figure stand three that show a language bias: `mono_map@20` (the right sentence of the
    question's language among the sentences of that language), `cross_map@20` (the others among the sentences of other
    languages), and `own_language@20`, how many of the first 20 candidates are in the question's language.

    Args:
        params: `task`, `language`, `split`.
        inputs: `ranked`, the artifact of `rank_pool`.
        context: `out` receives the evaluation.
    """
    language = str(params["language"])
    rows = ranked_rows(params, inputs)
    if "right_ranks" not in rows[0]:
        raise UserError("the pool is too large for the ranks of all right candidates", where=str(params["task"]))
    lost = [row["id"] for row in rows if not row["right_ranks"]]
    if lost:
        raise UserError(
            f"{len(lost)} questions of {language} have no right candidate in the pool, the first is {lost[0]!r}",
            where=str(params["task"]),
            fix="give the stage the tables of all languages that hold their answers",
        )
    columns = _from_ranks([row["right_ranks"] for row in rows])
    own = [zip(row["right_ranks_own"], row["right_languages"], strict=True) for row in rows]
    mono = _from_ranks([[rank for rank, name in pairs if name == language] for pairs in own])
    cross = _from_ranks([[rank for rank in row["right_ranks_foreign"] if rank] for row in rows])
    shares = [np.mean([name == language for name in row["candidate_languages"]]) for row in rows]
    more = {"s_ap_mono": mono["s_ap"], "s_ap_cross": cross["s_ap"], "s_own_language": np.array(shares)}
    metrics = {
        **figures(FAMILY_UNCUT.metrics, columns),
        "mono_map@20": _mean(more["s_ap_mono"]),
        "cross_map@20": _mean(more["s_ap_cross"]),
        "own_language@20": _mean(more["s_own_language"]),
    }
    languages = pa.array([row["candidate_languages"][0] for row in rows], pa.string())
    _write(
        params,
        context,
        rows,
        {**columns, **more},
        metrics,
        FAMILY_UNCUT.primary,
        more={"prediction_language": languages},
    )
    return {"examples": len(rows)}


def evaluate_mewslix(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Scores one language's mentions: mAP@20, which is MRR@20 where a mention names one entity.

    There is no figure on language bias: every language's table has the same entities, whose language it does not say.

    Args:
        params: `task`, `language`, `split`.
        inputs: `ranked`, the artifact of `rank_pool`.
        context: `out` receives the evaluation.
    """
    rows = ranked_rows(params, inputs)
    columns = statistics([row["gold"] for row in rows], [row["candidates"] for row in rows], DEPTH)
    _write(params, context, rows, columns, figures(FAMILY.metrics, columns), FAMILY.primary)
    return {"examples": len(rows)}


def _from_ranks(ranks: Sequence[Sequence[int]]) -> dict[str, FloatArray]:
    """Statistics from the ranks of each query's right candidates; NaN for a query that has none."""
    some = np.array([len(row) > 0 for row in ranks], dtype=bool)
    kept = [row for row in ranks if row]
    owner = np.repeat(np.arange(len(kept)), [len(row) for row in kept])
    flat = np.array([rank for row in kept for rank in row], dtype=np.int64)
    return spread(some, statistics_from_ranks(flat, owner, len(kept), DEPTH))


def _mean(column: FloatArray) -> float:
    """Mean in percent over the queries for which the figure exists; 0 where there are none."""
    known = column[~np.isnan(column)]
    return 100.0 * float(known.mean()) if len(known) else 0.0


def _write(
    params: Mapping[str, Any],
    context: StageContext,
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, FloatArray],
    metrics: Mapping[str, float],
    primary: str,
    *,
    more: Mapping[str, pa.Array] | None = None,
) -> None:
    write_evaluation(
        context.out,
        params,
        ids=[row["id"] for row in rows],
        languages=[row["language"] for row in rows],
        tokens=[row["tokens"] for row in rows],
        gold=[" ".join(row["gold"]) for row in rows],
        predictions=[" ".join(row["candidates"]) for row in rows],
        scores=[row["cosines"][0] for row in rows],
        statistics=columns,
        metrics=metrics,
        primary=primary,
        more=more,
    )
