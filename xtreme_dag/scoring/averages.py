"""Averages over languages, groups and benchmarks, from figures per task and language.

Official (evaluate.py): a task's average is the unweighted mean over its listed languages, English included where it is
listed; a QA task counts with the mean of its average exact match and its average F1; a group and the benchmark are
unweighted means of tasks. evaluate.py prints a mean only when nothing is missing; here it is given and marked partial.

Ours: evaluate.py cannot compute an XTREME-R average (it lists LAReQA without languages and leaves it out of every
group), so the definition here is this project's: the unweighted mean of the benchmark's tasks as above, LAReQA counted
by mAP@20 over its eleven question languages in the group `retrieval`; with and without the retrieval tasks, with and
without English in the averages of the tasks that have it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xtreme_dag.core.english import ENGLISH

DEFINITION = (
    "Ours, not the authors': the unweighted mean of the tasks' averages over languages; QA tasks count with the mean "
    "of exact match and F1, LAReQA with mAP@20 over its question languages."
)
RETRIEVAL = "retrieval"
_PRIMARY = ("f1", "accuracy", "map@20")
# What evaluate.py groups otherwise than by the kind of task, for XTREME-R.
_UNGROUPED = {"xtreme": (), "xtreme-r": ("lareqa",)}
_EXTRA_GROUPS: Mapping[str, Mapping[str, Sequence[str]]] = {"xtreme": {}, "xtreme-r": {"multi_choice": ("xcopa",)}}

Figures = Mapping[str, Mapping[str, Mapping[str, float]]]
"""task -> language -> metric -> figure of 0-100."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """What a benchmark lists for one task.

    Attributes:
        languages: the languages that its average is over.
        group: the group of the task.
    """

    languages: Sequence[str]
    group: str


def averages(figures: Figures, benchmark: str, tasks: Mapping[str, Listed]) -> dict[str, Any]:
    """All averages of a benchmark.

    Args:
        figures: what was scored; languages that a task does not list are ignored.
        benchmark: `xtreme` or `xtreme-r`.
        tasks: the benchmark's tasks.

    Returns:
        `tasks`: task -> `avg_<metric>` and `avg_metric` (the one that enters means); `overall`: `all_task` (XTREME
        only) and one figure per group, as evaluate.py names and groups them; `ours`: `all_task`, `without_retrieval`,
        `without_english`, `without_english_and_retrieval` and `groups`; `definition`: what `ours` means; `partial`:
        name of a figure above -> what it lacks.
    """
    per_task: dict[str, dict[str, float]] = {}
    partial: dict[str, list[str]] = {}
    for task, listed in tasks.items():
        scored = [language for language in listed.languages if language in figures.get(task, {})]
        if scored:
            per_task[task] = task_averages([figures[task][language] for language in scored])
            _note(partial, f"tasks.{task}", [name for name in listed.languages if name not in scored])
    metric = {task: row["avg_metric"] for task, row in per_task.items()}
    groups: dict[str, list[str]] = {}
    for task, listed in tasks.items():
        groups.setdefault(listed.group, []).append(task)
    official = {name: [task for task in of if task not in _UNGROUPED[benchmark]] for name, of in groups.items()}
    official |= {name: [task for task in of if task in tasks] for name, of in _EXTRA_GROUPS[benchmark].items()}
    overall = {} if _UNGROUPED[benchmark] else {"all_task": list(tasks)}
    return {
        "tasks": per_task,
        "overall": _means(metric, {**overall, **official}, "overall", partial),
        "ours": {**_ours(figures, tasks, metric, partial), "groups": _means(metric, groups, "ours.groups", partial)},
        "definition": DEFINITION,
        "partial": partial,
    }


def task_averages(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Averages of one task over languages: `avg_<metric>`, and `avg_metric`, which enters further averages.

    Args:
        rows: metric -> figure, for each language, at least one.
    """
    means = {f"avg_{name}": sum(row[name] for row in rows) / len(rows) for name in rows[0]}
    if "avg_exact_match" in means:
        return {**means, "avg_metric": (means["avg_exact_match"] + means["avg_f1"]) / 2}
    primary = next(name for name in _PRIMARY if f"avg_{name}" in means)
    return {**means, "avg_metric": means[f"avg_{primary}"]}


def _ours(
    figures: Figures, tasks: Mapping[str, Listed], metric: Mapping[str, float], partial: dict[str, list[str]]
) -> dict[str, float]:
    without_english = {}
    for task in metric:
        rows = [figures[task][name] for name in tasks[task].languages if name != ENGLISH and name in figures[task]]
        if rows:
            without_english[task] = task_averages(rows)["avg_metric"]
    others = [task for task in tasks if tasks[task].group != RETRIEVAL]
    return {
        **_means(metric, {"all_task": list(tasks), "without_retrieval": others}, "ours", partial),
        **_means(
            without_english,
            {"without_english": list(tasks), "without_english_and_retrieval": others},
            "ours",
            partial,
        ),
    }


def _means(
    metric: Mapping[str, float], sets: Mapping[str, Sequence[str]], where: str, partial: dict[str, list[str]]
) -> dict[str, float]:
    """Means over sets of tasks; a set of which nothing was scored has none."""
    means = {}
    for name, members in sets.items():
        scored = [task for task in members if task in metric]
        if scored:
            means[name] = sum(metric[task] for task in scored) / len(scored)
            incomplete = [task for task in scored if f"tasks.{task}" in partial]
            missing = [task for task in members if task not in scored]
            _note(partial, f"{where}.{name}", [*missing, *(f"{task} (languages)" for task in incomplete)])
    return means


def _note(partial: dict[str, list[str]], name: str, missing: Sequence[str]) -> None:
    if missing:
        partial[name] = list(missing)
