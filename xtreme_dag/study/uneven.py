"""Whether conditions of equal budget are trained on numbers of tokens so different that a warning is due."""

from __future__ import annotations

_FACTOR = 1.1


def uneven(one: float, other: float) -> bool:
    """Whether two numbers of tokens differ by more than a tenth."""
    return max(one, other) > _FACTOR * min(one, other)
