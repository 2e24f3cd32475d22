"""Predict the answers of span question answering: XQuAD, MLQA, TyDiQA-GoldP, SQuAD v1.1 and v2.0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from xtreme_dag.core.context import StageContext
from xtreme_dag.evaluation.engine import Rows, head_name, infer, model_of, sequences_of, settings_of
from xtreme_dag.evaluation.spans import Answer, WindowSpans, best_spans, n_best, probabilities
from xtreme_dag.model import PackedTokens
from xtreme_dag.tables.canonical import read_table
from xtreme_dag.tables.encoded import EncodedTable, open_encoded
from xtreme_dag.tables.predictions import rounded, rows_in_order, write_parquet

N_BEST = 20
MAX_ANSWER_TOKENS = 30


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Answers to all questions of a table.

    Attributes:
        table: the encoded table.
        rows: the canonical rows in its order.
        best: the n best answers of each question, by falling score; none where no token of the context is left.
        null: float64 (questions,), the lowest "no answer here" score over the windows.
    """

    table: EncodedTable
    rows: pa.Table
    best: tuple[tuple[Answer, ...], ...]
    null: NDArray[np.float64]

    @property
    def margin(self) -> NDArray[np.float64]:
        """How much better "no answer" scores than the best answer, (questions,)."""
        top = np.array([answers[0].score if answers else -np.inf for answers in self.best])
        return np.where(np.isfinite(top), self.null - top, 1e4)


def answer_questions(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Answers:
    """Finds the n best answers of every question of one language.

    Args:
        params: `task`, `recipe` (`n_best`, default 20; `max_answer_length`, default 30: the reference's; `precision`).
        inputs: `model`, `encoded`, `table`.
        context: see `settings_of` for the options.
    """
    recipe = params.get("recipe") or {}
    settings = settings_of(recipe, context)
    n, longest = int(recipe.get("n_best") or N_BEST), int(recipe.get("max_answer_length") or MAX_ANSWER_TOKENS)
    table = open_encoded(inputs["encoded"])
    model = model_of(inputs, settings.device)
    head = head_name(model, "span", params["task"])
    sequences = sequences_of([table])
    offsets = table.per_token("offsets").reshape(-1, 2)
    windows = len(table.lengths)
    score, null = np.full((windows, n), -np.inf, np.float32), np.zeros(windows, np.float32)
    start, end = np.zeros((windows, n), np.int64), np.zeros((windows, n), np.int64)

    def find(tokens: PackedTokens, rows: Rows) -> WindowSpans:
        inside = offsets[sequences.tokens_of(rows), 0] >= 0
        scores = model.scores(head, tokens).float()
        return best_spans(
            scores[:, 0],
            scores[:, 1],
            tokens.lengths,
            torch.from_numpy(inside).to(settings.device),
            n=n,
            max_tokens=longest,
        )

    for rows, spans in infer(sequences, find, settings, progress=context.progress):
        found = spans.score.shape[1]
        score[rows, :found], start[rows, :found], end[rows, :found] = spans.score, spans.start, spans.end
        null[rows] = spans.null
    return _joined(
        table,
        rows_in_order(read_table(inputs["table"]), table.example_ids, params["task"]),
        WindowSpans(score=score, start=start, end=end, null=null),
        offsets,
        n,
    )


def _joined(table: EncodedTable, rows: pa.Table, spans: WindowSpans, offsets: NDArray[np.int32], n: int) -> Answers:
    """Joins the windows of each question."""
    bounds, tokens = table.first_sequence.tolist(), table.offsets
    best, null = [], np.zeros(len(table))
    for row, context in enumerate(rows["context"].to_pylist()):
        windows = range(bounds[row], bounds[row + 1])
        places = [offsets[tokens[window] : tokens[window + 1]] for window in windows]
        best.append(tuple(n_best(context, spans, windows, places, n=n)))
        null[row] = spans.null[windows.start : windows.stop].min()
    return Answers(table=table, rows=rows, best=tuple(best), null=null)


def chosen(answers: Answers, threshold: float | None) -> list[Answer | None]:
    """The answer to each question; None for "no answer".

    Args:
        answers: what was found.
        threshold: "no answer" wins if it scores this much better than the best answer (0 is the reference's); None
            where every question has an answer, so that one is always given if any token of the context is left.
    """
    withheld = np.zeros(len(answers.best), bool) if threshold is None else answers.margin > threshold
    return [None if no or not best else best[0] for best, no in zip(answers.best, withheld.tolist(), strict=True)]


def confidence(answers: Answers, given: Sequence[Answer | None], *, null: bool) -> NDArray[np.float64]:
    """Probability of each given answer among the n best (and "no answer", where it is allowed)."""
    values = np.zeros(len(given))
    for row, (answer, best) in enumerate(zip(given, answers.best, strict=True)):
        shares = probabilities(best, float(answers.null[row]) if null else None)
        values[row] = 1.0 - float(shares.sum()) if answer is None else float(shares[0])
    return values


def answer_columns(answers: Answers, given: Sequence[Answer | None]) -> dict[str, pa.Array]:
    """Where each answer stands in its context (code points; null for none) and the margin of "no answer"."""
    return {
        "start": pa.array([None if answer is None else answer.start for answer in given], pa.int32()),
        "end": pa.array([None if answer is None else answer.end for answer in given], pa.int32()),
        "no_answer_margin": pa.array(rounded(answers.margin), pa.float32()),
    }


def gold_answers(answers: Answers) -> list[list[str]]:
    """The gold answers of each question."""
    return [[answer["text"] for answer in row or []] for row in answers.rows["answers"].to_pylist()]


def write_n_best(out: Path, answers: Answers) -> None:
    """Writes all n-best lists to `n_best.parquet`: id, rank (from 1), text, start, end, score, probability."""
    flat = [
        (name, rank, answer, share)
        for name, best in zip(answers.table.example_ids, answers.best, strict=True)
        for rank, (answer, share) in enumerate(zip(best, probabilities(best, None).tolist(), strict=True), start=1)
    ]
    columns = {
        "id": pa.array([name for name, *_ in flat], pa.string()),
        "rank": pa.array([rank for _, rank, *_ in flat], pa.int32()),
        "text": pa.array([answer.text for *_, answer, _ in flat], pa.string()),
        "start": pa.array([answer.start for *_, answer, _ in flat], pa.int32()),
        "end": pa.array([answer.end for *_, answer, _ in flat], pa.int32()),
        "score": pa.array(rounded([answer.score for *_, answer, _ in flat]), pa.float32()),
        "probability": pa.array(rounded([share for *_, share in flat]), pa.float32()),
    }
    write_parquet(pa.table(columns), out / "n_best.parquet")
