"""Control conditions: the same inputs with shuffled labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xtreme_dag.core.errors import UserError
from xtreme_dag.heads import training_of
from xtreme_dag.training.pools import Pool


def shuffle_labels(pool: Pool, seed: int) -> Pool:
    """The pool with each part's gold shuffled as its head says, so that the label counts stay what they were.

    Raises:
        UserError: the head has no labels (mlm, dual).
    """
    shuffle = training_of(pool.spec.kind).shuffle
    if shuffle is None:
        raise UserError(f"a {pool.spec.kind} task has no labels to shuffle", where="control: shuffled_labels")
    parts = tuple(
        replace(part, gold=shuffle(part.table, part.rows, np.random.default_rng([seed, number])))
        for number, part in enumerate(pool.parts)
    )
    return replace(pool, parts=parts)
