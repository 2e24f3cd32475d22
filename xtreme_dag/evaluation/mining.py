"""Bitext mining: pairs of sentences that are translations of each other, found in two pools.

The procedure of BUCC 2018 in XTREME (`third_party/utils_retrieve.py`), after Artetxe and Schwenk, "Margin-based
Parallel Corpus Mining with Multilingual Sentence Embeddings" (ACL 2019): every distinct sentence has one vector, a
pair's score is its cosine against the mean cosine of both sentences' k nearest neighbours, each sentence proposes its
best partner, and pairs are accepted by falling score while both of their sentences are free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from xtreme_dag.core.errors import refuse_unknown
from xtreme_dag.evaluation.search import top_k

MARGINS = ("ratio", "cosine")
REPEATS = ("dropped", "all")


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The distinct sentences of one side, in order of first occurrence.

    Attributes:
        first: int64 (sentences,), the line that each distinct sentence first stands on.
        ids: the ids of all lines that hold the sentence.
    """

    first: NDArray[np.int64]
    ids: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Mined:
    """Accepted pairs by falling score.

    Attributes:
        foreign: int64 (pairs,), rows of the foreign pool.
        english: int64 (pairs,), rows of the English pool.
        scores: float64 (pairs,), above 0.
    """

    foreign: NDArray[np.int64]
    english: NDArray[np.int64]
    scores: NDArray[np.float64]


def distinct(ids: Sequence[str], texts: Sequence[str]) -> Pool:
    """Groups the lines that hold the same text, so that each text is embedded and proposed once."""
    lines: dict[str, list[int]] = {}
    for line, text in enumerate(texts):
        lines.setdefault(text, []).append(line)
    return Pool(
        first=np.array([some[0] for some in lines.values()], dtype=np.int64),
        ids=tuple(tuple(ids[line] for line in some) for some in lines.values()),
    )


def mine(
    foreign: NDArray[np.float32],
    english: NDArray[np.float32],
    *,
    k: int = 4,
    margin: str = "ratio",
    device: str | torch.device = "cpu",
) -> Mined:
    """Mines the pairs of two pools of distinct sentences.

    Args:
        foreign: float32 (foreign sentences, width).
        english: float32 (English sentences, width).
        k: neighbours per sentence, as candidates and in the margin.
        margin: `ratio` (cosine divided by the mean of both sentences' mean neighbour cosine) or `cosine`.
        device: where the search runs.

    Raises:
        UserError: the margin has no such name.
    """
    refuse_unknown([margin], MARGINS, what="margin", where="recipe.margin")
    if not len(foreign) or not len(english):
        return Mined(foreign=np.zeros(0, np.int64), english=np.zeros(0, np.int64), scores=np.zeros(0))
    forward = top_k(foreign, english, min(k, len(english)), device=device)
    backward = top_k(english, foreign, min(k, len(foreign)), device=device)
    level_f, level_e = forward.cosines.mean(axis=1), backward.cosines.mean(axis=1)
    if margin == "cosine":
        level_f, level_e = np.ones_like(level_f), np.ones_like(level_e)
    f_scores = forward.cosines / ((level_f[:, None] + level_e[forward.rows]) / 2)
    e_scores = backward.cosines / ((level_e[:, None] + level_f[backward.rows]) / 2)
    f_best, e_best = f_scores.argmax(axis=1), e_scores.argmax(axis=1)
    f_rows, e_rows = np.arange(len(foreign)), np.arange(len(english))
    return _accept(
        np.concatenate([f_rows, backward.rows[e_rows, e_best]]),
        np.concatenate([forward.rows[f_rows, f_best], e_rows]),
        np.concatenate([f_scores[f_rows, f_best], e_scores[e_rows, e_best]]),
    )


def _accept(foreign: NDArray[np.int64], english: NDArray[np.int64], scores: NDArray[np.float64]) -> Mined:
    """Takes proposals by falling score (ties by rising rows) while both sentences are free and the score is above 0."""
    order = np.lexsort((english, foreign, -scores))
    order = order[scores[order] > 0]
    free_f = np.ones(int(foreign.max(initial=-1)) + 1, dtype=bool)
    free_e = np.ones(int(english.max(initial=-1)) + 1, dtype=bool)
    taken = []
    for at, f, e in zip(order.tolist(), foreign[order].tolist(), english[order].tolist(), strict=True):
        if free_f[f] and free_e[e]:
            free_f[f] = free_e[e] = False
            taken.append(at)
    return Mined(foreign=foreign[taken], english=english[taken], scores=scores[taken])


def id_pairs(mined: Mined, foreign: Pool, english: Pool, *, repeats: str = "dropped") -> list[tuple[str, str, float]]:
    """Mined sentences as pairs of ids, (foreign id, English id, score), by falling score.

    Args:
        mined: what `mine` returned for the two pools.
        foreign: the foreign pool.
        english: the English pool.
        repeats: a sentence on several lines has no id of its own. `dropped` leaves its pairs out, as the official
            script does; `all` pairs every id that shares the text, as jiant does. Scores differ slightly.

    Raises:
        UserError: the convention has no such name.
    """
    refuse_unknown([repeats], REPEATS, what="convention", where="recipe.repeats")
    found: list[tuple[str, str, float]] = []
    rows = zip(mined.foreign.tolist(), mined.english.tolist(), mined.scores.tolist(), strict=True)
    for f, e, score in rows:
        left, right = foreign.ids[f], english.ids[e]
        if repeats == "all" or (len(left) == 1 and len(right) == 1):
            found.extend((a, b, score) for a in left for b in right)
    return found
