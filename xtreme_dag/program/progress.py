"""Progress of a run, with what comes: bars on a terminal, otherwise a line now and then."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

from xtreme_dag.core.durations import duration
from xtreme_dag.core.errors import printable

# Seconds between two lines where there is no terminal: a log should show that the run is alive.
_LINE_SECONDS = 10.0
_NAMED = 4  # running stages of one kind that a line names
_WIDE = 110  # columns of a terminal that has room for a bar, the time and figures beside names


class Display(Progress):
    """Listens to the events of a run.

    Args:
        stages: name of each stage -> what it does, in words; in the order in which they are told.
        quiet: shows nothing but what failed.
        console: where; by default standard error.
    """

    def __init__(self, stages: Mapping[str, str], *, quiet: bool = False, console: Console | None = None) -> None:
        console = console or Console(stderr=True, highlight=False)
        # no markup: what is in the brackets of a stage's name would be taken for a style
        names, figures = (
            TextColumn(text, markup=False, style=style, table_column=Column(no_wrap=True, overflow="ellipsis"))
            for text, style in (("{task.description}", "none"), ("{task.fields[figures]}", "dim"))
        )
        columns: list[ProgressColumn] = [names, MofNCompleteColumn()]
        if console.width >= _WIDE:  # else names are what matters
            columns = [names, BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(), figures]
        self._doing = stages
        self._coming = Counter(stages.values())  # what stages do -> how many have not begun
        super().__init__(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)
        self._running: dict[str, None] = {}
        self._started = time.monotonic()
        self._quiet = quiet
        self._counts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._rows: dict[str, TaskID] = {}
        self._last_line = time.monotonic()
        self._all = self.add_task("stages", total=len(stages), figures="")

    def start(self) -> None:
        """Begins the display, with what there is to do."""
        if not self._quiet:
            self.console.print(f"{len(self._doing)} stages: {self._to_come()}", markup=False, soft_wrap=True)
        super().start()

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bars, and below them what comes."""
        yield from super().get_renderables()
        if coming := self._to_come():
            yield Text(f"to come: {coming}", style="dim", no_wrap=True, overflow="ellipsis")

    def listen(self, event: Mapping[str, Any]) -> None:
        """Takes one event: started, progress, log, finished, failed or not run."""
        with self._lock:
            kind, stage = event["event"], event.get("stage", "")
            if kind == "started":
                self._begin(stage)
            elif kind == "progress" and stage in self._rows:
                self.update(self._rows[stage], completed=event["done"], total=event["total"], figures=_figures(event))
            elif kind == "log" and not self._quiet:
                self.console.print(printable(str(event["message"])), markup=False, soft_wrap=True)
            elif kind in ("finished", "failed", "not run"):
                self._finish(kind, stage, event)

    def stop(self) -> None:
        """Ends the display, after a line for each reason that failed more than one stage."""
        for reason, count in self._reasons.items():
            if count > 1:
                self.console.print(
                    f"failed: {count - 1} more stages for the same reason: {reason}",
                    markup=False,
                    soft_wrap=True,
                    style="red",
                )
        self._reasons.clear()
        super().stop()

    def _begin(self, stage: str) -> None:
        if stage in self._doing and stage not in self._running:
            self._coming[self._doing[stage]] -= 1
        self._running[stage] = None
        if not self.disable:
            self._rows[stage] = self.add_task(f"  {stage}", total=None, figures="")

    def _finish(self, kind: str, stage: str, event: Mapping[str, Any]) -> None:
        if stage in self._running:
            del self._running[stage]
        elif stage in self._doing:
            self._coming[self._doing[stage]] -= 1
        self._counts["cached" if event.get("cached") else kind] += 1
        if stage in self._rows:
            self.remove_task(self._rows.pop(stage))
        self.update(self._all, advance=1, figures=self._tally())
        if kind == "failed":
            reason = printable(str(event.get("message", "")))
            self._reasons[reason] += 1
            if self._reasons[reason] == 1:
                self.console.print(f"failed: {stage}: {reason}", markup=False, soft_wrap=True, style="red")
        elif self.disable and not self._quiet and time.monotonic() - self._last_line > _LINE_SECONDS:
            self._last_line = time.monotonic()
            self.console.print(self._line(), markup=False, soft_wrap=True)

    def _line(self) -> str:
        """What is done, what is being done and what comes."""
        took = duration(time.monotonic() - self._started)
        parts = [f"{sum(self._counts.values())} of {len(self._doing)} stages in {took} ({self._tally()})"]
        if self._running:
            parts.append("now " + ", ".join(self._now()))
        if coming := self._to_come():
            parts.append("then " + coming)
        return "; ".join(parts)

    def _now(self) -> Iterator[str]:
        """The stages that run, in words: those that do the same together."""
        alike: dict[str, list[str]] = {}
        for stage in self._running:
            doing = self._doing.get(stage, "")
            alike.setdefault(doing, []).append(stage[stage.find("[") :] if "[" in stage and doing else stage)
        for doing, stages in alike.items():
            more = f" and {len(stages) - _NAMED} more" if len(stages) > _NAMED else ""
            yield f"{doing} {' '.join(stages[:_NAMED])}".strip() + more

    def _to_come(self) -> str:
        return ", ".join(f"{doing} ({count})" for doing, count in self._coming.items() if count > 0)

    def _tally(self) -> str:
        return ", ".join(f"{count} {outcome}" for outcome, count in sorted(self._counts.items()))


def _figures(event: Mapping[str, Any]) -> str:
    shown = {name: value for name, value in event.items() if name not in ("event", "stage", "done", "total")}
    return " ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in shown.items()
    )
