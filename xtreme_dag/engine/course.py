"""The course of a stage: the figures of its progress (loss, speed, memory), kept for the manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_POINTS = 400


class Course:
    """Keeps the figures that a stage reports with its progress; of a long one every second, fourth, ... report.

    Args:
        figures: names of the figures to keep.
    """

    def __init__(self, figures: Iterable[str]) -> None:
        self._figures = tuple(figures)
        self._points: dict[float, dict[str, float]] = {}
        self._every, self._count = 1, 0

    def hear(self, event: Mapping[str, Any]) -> None:
        """Takes an event of the stage; what is no progress, or has no such figure, is left out."""
        if event["event"] != "progress":
            return
        told = {name: float(event[name]) for name in self._figures if name in event}
        if not told:
            return
        if self._count % self._every == 0:
            self._points[event["done"]] = told
        self._count += 1
        if len(self._points) > _POINTS:
            self._points = dict(list(self._points.items())[::2])
            self._every *= 2

    def points(self) -> list[list[Any]]:
        """`[done, {figure: value}]` of each report that was kept, in their order."""
        return [[done, told] for done, told in self._points.items()]
