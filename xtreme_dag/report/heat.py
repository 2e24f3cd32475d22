"""The rows behind the heat map of languages and conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xtreme_dag.report.content import Content, difference
from xtreme_dag.results.effects import Effect

MEAN = "mean of the tasks"


def heat_data(content: Content) -> dict[str, Any]:
    """What the page's script needs: rows per task, language and condition, and the mean over a language's tasks."""
    rows = [_row(cell) for cell in content.cells]
    if len(content.tasks) > 1:
        means = {(c.condition, effect.language): effect for c in content.comparisons for effect in c.language_means}
        rows = _means(content.cells, means) + rows
    return {
        "rows": rows,
        "conditions": [row["condition"] for row in content.conditions],
        "compared": [one.condition for one in content.comparisons],
        "baseline": content.study["baseline"],
        "languages": len({row["label"] for row in rows}),
    }


def _row(cell: Mapping[str, Any]) -> dict[str, Any]:
    name, code = cell["name"], cell["language"]
    kept = {key: cell[key] for key in ("task", "family", "script", "condition", "verdict", "seen")}
    figures = {key: cell[key] for key in ("kinship", "value", "delta", "low", "high")}
    rounded = {key: None if value is None else round(value, 2) for key, value in figures.items()}
    return {
        **kept,
        **rounded,
        "seeds": [round(one, 2) for one in cell["by_seed"]],
        "supervision": cell["supervision"] or "unknown",
        "label": name if name == code else f"{name} ({code})",
    }


def _means(cells: Sequence[Mapping[str, Any]], means: Mapping[tuple[str, str | None], Effect]) -> list[dict[str, Any]]:
    """The mean over the tasks that a language has, per condition."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for cell in cells:
        groups.setdefault((cell["language"], cell["condition"]), []).append(cell)
    rows = []
    for (language, condition), group in groups.items():
        # a task that the baseline lacks is in the score: then nothing can be said of the difference
        effect = None if None in [cell["delta"] for cell in group] else means.get((condition, language))
        mean = {
            "task": MEAN,
            "value": sum(cell["value"] for cell in group) / len(group),
            "seen": any(cell["seen"] for cell in group),
            "supervision": "by task",
            **difference(effect, group[0]["verdict"]),
        }
        rows.append(_row({**group[0], **mean}))
    return rows
