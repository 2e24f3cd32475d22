"""The rows behind the heat map of languages and conditions."""

from __future__ import annotations

from typing import Any

from xtreme_dag.report.content import Content

MEAN = "mean of the tasks"


def heat_data(content: Content) -> dict[str, Any]:
    """What the page's script needs: rows per task, language and condition, and the mean over a language's tasks."""
    rows = [_row(cell) for cell in content.cells]
    if len(content.tasks) > 1:
        rows = _means(rows) + rows
    return {
        "rows": rows,
        "conditions": [row["condition"] for row in content.conditions],
        "baseline": content.study["baseline"],
        "languages": len({row["label"] for row in rows}),
    }


def _row(cell: dict[str, Any]) -> dict[str, Any]:
    name, code = cell["name"], cell["language"]
    kept = {key: cell[key] for key in ("task", "family", "script", "condition", "verdict", "seen")}
    figures = {key: cell[key] for key in ("kinship", "value", "delta", "low", "high")}
    rounded = {key: None if value is None else round(value, 2) for key, value in figures.items()}
    return {
        **kept,
        **rounded,
        "supervision": cell["supervision"] or "unknown",
        "label": name if name == code else f"{name} ({code})",
    }


def _means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The mean over the tasks that a language has, per condition; without intervals."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["label"], row["condition"]), []).append(row)
    unknown = {"task": MEAN, "low": None, "high": None, "verdict": "open", "supervision": "by task"}
    return [
        group[0]
        | unknown
        | {"value": _mean(group, "value"), "delta": _mean(group, "delta"), "seen": any(row["seen"] for row in group)}
        for group in groups.values()
    ]


def _mean(rows: list[dict[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows]
    return None if None in values else round(sum(values) / len(values), 2)
