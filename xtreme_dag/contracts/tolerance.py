"""How many examples of a table may break a rule that a release is known to break."""

from __future__ import annotations

from math import sqrt


def most(examples: int, share: float) -> float:
    """How many of a sample's examples may: the share, and two standard errors of a count of so few.

    Args:
        examples: of the sample.
        share: of a whole table's examples that are tolerated.
    """
    return share * examples + 2 * sqrt(share * examples)
