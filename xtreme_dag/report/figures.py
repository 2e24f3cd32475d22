"""Figures as text: numbers, differences, intervals, durations, sizes; nothing for None."""

from __future__ import annotations

MINUS = "\N{MINUS SIGN}"


def number(value: float | None, digits: int = 1) -> str:
    """A number, or nothing."""
    return "" if value is None else f"{value:.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 1) -> str:
    """A difference with its sign."""
    if value is None:
        return ""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)


def interval(low: float | None, high: float | None) -> str:
    """An interval of differences."""
    return "" if low is None or high is None else f"{signed(low)} to {signed(high)}"


def size(count: float | None) -> str:
    """Bytes as a person says them."""
    return "" if not count else f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
