"""Progress of a run: bars on a terminal, otherwise a line now and then."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from xtreme_dag.core.errors import printable

# Seconds between two lines where there is no terminal: a log should show that the run is alive.
_LINE_SECONDS = 10.0


class Display(Progress):
    """Listens to the events of a run.

    Args:
        total: number of stages.
        quiet: shows nothing but what failed.
    """

    def __init__(self, total: int, *, quiet: bool = False) -> None:
        console = Console(stderr=True, highlight=False)
        figures = TextColumn("[dim]{task.fields[figures]}")
        super().__init__(
            TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(), figures,
            console=console, transient=True, disable=quiet or not console.is_terminal,
        )  # fmt: skip
        self._total = total
        self._quiet = quiet
        self._counts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._rows: dict[str, TaskID] = {}
        self._last_line = time.monotonic()
        self._all = self.add_task("stages", total=total, figures="")

    def listen(self, event: Mapping[str, Any]) -> None:
        """Takes one event: started, progress, log, finished, failed or not run."""
        with self._lock:
            kind, stage = event["event"], event.get("stage", "")
            if kind == "started" and not self.disable:
                self._rows[stage] = self.add_task(f"  {stage}", total=None, figures="")
            elif kind == "progress" and stage in self._rows:
                self.update(self._rows[stage], completed=event["done"], total=event["total"], figures=_figures(event))
            elif kind == "log" and not self._quiet:
                self.console.print(printable(str(event["message"])), markup=False)
            elif kind in ("finished", "failed", "not run"):
                self._finish(kind, stage, event)

    def stop(self) -> None:
        """Ends the display, after a line for each reason that failed more than one stage."""
        for reason, count in self._reasons.items():
            if count > 1:
                self.console.print(
                    f"failed: {count - 1} more stages for the same reason: {reason}", markup=False, style="red"
                )
        self._reasons.clear()
        super().stop()

    def _finish(self, kind: str, stage: str, event: Mapping[str, Any]) -> None:
        self._counts["cached" if event.get("cached") else kind] += 1
        if stage in self._rows:
            self.remove_task(self._rows.pop(stage))
        self.update(self._all, advance=1, figures=self._tally())
        if kind == "failed":
            reason = printable(str(event.get("message", "")))
            self._reasons[reason] += 1
            if self._reasons[reason] == 1:
                self.console.print(f"failed: {stage}: {reason}", markup=False, style="red")
        elif self.disable and not self._quiet and time.monotonic() - self._last_line > _LINE_SECONDS:
            self._last_line = time.monotonic()
            done = sum(self._counts.values())
            self.console.print(f"{done} of {self._total} stages: {self._tally()}; last {stage}", markup=False)

    def _tally(self) -> str:
        return ", ".join(f"{count} {outcome}" for outcome, count in sorted(self._counts.items()))


def _figures(event: Mapping[str, Any]) -> str:
    shown = {name: value for name, value in event.items() if name not in ("event", "stage", "done", "total")}
    return " ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in shown.items()
    )
