"""A study's comparisons on one screen: question, answer, figures in unseen and in seen languages, controls."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from xtreme_dag.program.output import table
from xtreme_dag.results.effects import Comparison, Effect
from xtreme_dag.results.wording import outcomes

COLUMNS = 100
_TERMS = (
    "unseen: neither was trained on the task in these languages (zero-shot transfer); seen: one was",
    "*: established at 5 %, corrected for all claims of the study; without it a difference is not decided",
)
_CONTROL = "control: what it was trained on cannot help, so it should be where no intermediate training is"


def screen(question: str, comparisons: Sequence[Comparison]) -> list[str]:
    """The lines of the screen, of at most `COLUMNS` columns where names are short.

    The comparison that the study names is shown by task, the others by their mean over tasks.

    Args:
        question: what the study asks.
        comparisons: its conditions against the baseline; at least one.
    """
    first = comparisons[0]
    rows = [row for one in comparisons for row in _rows(one, means_only=one is not first)]
    level = f"{first.confidence:.0%} interval"
    heads = [f"points over {first.baseline}", "task", "unseen", level, "", "seen", level, ""]
    notes = (*_TERMS, _CONTROL) if any(one.control for one in comparisons) else _TERMS
    return [
        *textwrap.wrap(question, COLUMNS),
        *textwrap.wrap(" ".join(outcomes([one for one in comparisons if not one.control])[0]), COLUMNS),
        "",
        *table(heads, rows, right=(2, 3, 5, 6)).splitlines(),
        *notes,
    ]


def _rows(comparison: Comparison, *, means_only: bool) -> list[list[str]]:
    """Lines of a comparison: task by task and their mean, or the mean alone."""
    unseen = {} if comparison.overall.part == "seen" else _by_task((*comparison.tasks, comparison.overall))
    seen = _by_task(comparison.seen)
    tasks = sorted({*unseen, *seen} - {None}, key=str)
    shown = [None] if means_only else [*tasks, None] if len(tasks) > 1 else tasks
    return [
        [
            comparison.title if place == 0 else "",
            task or "all tasks",
            *_cells(unseen.get(task)),
            *_cells(seen.get(task)),
        ]
        for place, task in enumerate(shown)
    ]


def _by_task(effects: Sequence[Effect]) -> dict[str | None, Effect]:
    return {effect.task: effect for effect in effects}


def _cells(effect: Effect | None) -> list[str]:
    """A difference, its interval, and a mark if it is established; blanks where there is none."""
    if effect is None:
        return ["", "", ""]
    mark = "" if effect.verdict == "open" else "*"
    return [f"{effect.delta:+.1f}", f"{effect.low:+.1f} to {effect.high:+.1f}", mark]
