"""Tatoeba's direction and order: English sentences ask, foreign sentences answer, English sentences are sorted.

The metric is accuracy of the nearest foreign sentence. XTREME hides the alignment by sorting the English side
(Python's string order on stripped lines); the foreign side keeps its order. A prediction file has one line per
English sentence in the sorted order, the row of a foreign sentence; the label is the English sentence's own row.
"""

from __future__ import annotations

from collections.abc import Sequence


def sorted_rows(english: Sequence[str]) -> list[int]:
    """Rows of the English sentences in the order of an official file; also its labels.

    Args:
        english: the English side in its original order, aligned with the foreign side.

    Returns:
        For each line of the official file the original row. Equal sentences keep their original order.
    """
    stripped = [text.strip() for text in english]
    return sorted(range(len(stripped)), key=stripped.__getitem__)
