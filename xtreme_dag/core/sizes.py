"""Sizes of files in words."""

from __future__ import annotations


def gigabytes(size: float) -> str:
    """A number of bytes for people: in GB (10^9), in MB below one."""
    if size < 1e9:
        return f"{size / 1e6:,.1f} MB"
    return f"{size / 1e9:,.0f} GB" if size >= 1e11 else f"{size / 1e9:,.1f} GB"
