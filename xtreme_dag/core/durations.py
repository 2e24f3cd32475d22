"""Formats durations for people."""


def duration(seconds: float | None) -> str:
    """A duration in the unit that fits: `4.2 s`, `119 s`, `10 min`, `2.5 h`; an empty string for None."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{round(seconds, 1):g} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
