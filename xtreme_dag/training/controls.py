"""Controls: the same inputs with gold that says nothing about them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from xtreme_dag.core.errors import UserError
from xtreme_dag.training.masking import IGNORED
from xtreme_dag.training.pools import Part, Pool

Array = npt.NDArray[Any]


def shuffle_labels(pool: Pool, seed: int) -> Pool:
    """The pool with each part's gold permuted among its drawn examples, so that the label counts stay what they were.

    Classification: labels over examples. Tagging: tags over all labelled words. Multiple choice: a choice drawn
    uniformly from the example's own. Span: each answer moves to a random place of its window, its length kept.

    Raises:
        UserError: the head has no labels (mlm, dual).
    """
    parts = tuple(_shuffled(part, pool.spec.kind, [seed, number]) for number, part in enumerate(pool.parts))
    return replace(pool, parts=parts)


def _shuffled(part: Part, kind: str, seed: list[int]) -> Part:
    """One part with shuffled gold."""
    random = np.random.default_rng(seed)
    if kind == "classification":
        labels = part.table.per_example("label").copy()
        drawn = np.unique(part.rows)
        labels[drawn] = random.permutation(labels[drawn])
        return replace(part, gold={"label": labels})
    if kind == "multiple_choice":
        choices = np.diff(part.table.first_sequence)
        return replace(part, gold={"label": random.integers(choices).astype(np.int32)})
    if kind == "tagging":
        tags = part.table.per_token("labels").copy()
        drawn = np.flatnonzero((tags != IGNORED) & _tokens_of(part))
        tags[drawn] = random.permutation(tags[drawn])
        return replace(part, gold={"labels": tags})
    if kind == "span":
        return replace(part, gold=_moved_answers(part, random))
    raise UserError(f"a {kind} task has no labels to shuffle", where="control: shuffled_labels")


def _tokens_of(part: Part) -> npt.NDArray[np.bool_]:
    """Which tokens of the table belong to drawn examples."""
    drawn = np.zeros(len(part.table), dtype=bool)
    drawn[part.rows] = True
    return np.repeat(drawn, part.table.example_lengths)


def _moved_answers(part: Part, random: np.random.Generator) -> dict[str, Array]:
    """Starts and ends with every answer at a random place of its window's context."""
    table = part.table
    start, end = (table.per_sequence(name).copy() for name in ("start", "end"))
    context = table.per_token("offsets").reshape(-1, 2)[:, 0] >= 0
    for window in np.flatnonzero(end > 0):
        low, high = int(table.offsets[window]), int(table.offsets[window + 1])
        inside = np.flatnonzero(context[low:high])
        length = int(end[window] - start[window])
        place = int(random.integers(inside[0], max(inside[0], inside[-1] - length) + 1))
        start[window], end[window] = place, place + length
    return {"start": start, "end": end}
