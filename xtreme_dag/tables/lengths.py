"""Length percentiles of the texts of a canonical table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

PERCENTILES = (50, 90, 95, 99, 100)
TEXTS = ("text_a", "text_b", "context", "question", "text", "english")


def texts_of(table: pa.Table) -> list[str]:
    """One text a row: all that a model would read of it, joined by blanks."""
    columns = [[value or "" for value in table[name].to_pylist()] for name in TEXTS if name in table.column_names]
    if "words" in table.column_names:
        columns.append([" ".join(words) for words in table["words"].to_pylist()])
    if "choices" in table.column_names:
        columns.append([max(choices, key=len, default="") for choices in table["choices"].to_pylist()])
    return [" ".join(part for part in row if part) for row in zip(*columns, strict=True)]


def length_percentiles(texts: Sequence[str], tokenizer: Path | None) -> dict[str, int]:
    """Percentiles of the length of texts, in tokens without special ones, or in characters without a tokenizer.

    Args:
        texts: as `texts_of` gives them; a multiple-choice example with its longest choice.
        tokenizer: folder of a tokenizer or a model, or None.
    """
    if not texts:
        return {}
    if tokenizer is None:
        lengths = [len(text) for text in texts]
    else:
        from xtreme_dag.tables.tokenizer_files import load_tokenizer

        lengths = [len(ids) for ids, _ in load_tokenizer(tokenizer).pieces(texts)]
    found = np.percentile(np.array(lengths), PERCENTILES, method="inverted_cdf")
    return {f"p{share}": int(value) for share, value in zip(PERCENTILES, found, strict=True)}
