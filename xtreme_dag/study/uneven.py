"""When conditions of equal budget are trained on so different numbers of tokens that it is said."""

from __future__ import annotations

_FACTOR = 1.1


def uneven(one: float, other: float) -> bool:
    """Whether two numbers of tokens differ by more than a tenth."""
    return max(one, other) > _FACTOR * min(one, other)
