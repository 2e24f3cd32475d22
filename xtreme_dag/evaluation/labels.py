"""Write an evaluation whose metric is accuracy: classification, multiple choice, Tatoeba."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from xtreme_dag.scoring.accuracy import FAMILY, statistics
from xtreme_dag.scoring.columns import figures
from xtreme_dag.tables.encoded import EncodedTable
from xtreme_dag.tables.predictions import spread, write_evaluation


def write_labels(
    out: Path,
    params: Mapping[str, Any],
    *,
    table: EncodedTable,
    gold: Sequence[str | None],
    predictions: Sequence[str],
    scores: ArrayLike,
    more: Mapping[str, pa.Array] | None = None,
) -> None:
    """Scores predictions for the examples of a table, right if they equal the gold outcome; see `write_evaluation`."""
    known = np.array([label is not None for label in gold], dtype=bool)
    right = statistics(
        [label for label in gold if label is not None],
        [label for label, there in zip(predictions, known, strict=True) if there],
    )
    write_evaluation(
        out,
        params,
        ids=table.example_ids,
        languages=table.languages,
        tokens=table.example_lengths,
        gold=gold,
        predictions=predictions,
        scores=scores,
        statistics=spread(known, right),
        metrics=figures(FAMILY.metrics, right) if known.any() else {},
        primary=FAMILY.primary,
        more=more,
    )
