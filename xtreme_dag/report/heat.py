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
    def short(value: float | None) -> float | None:
        return None if value is None else round(value, 2)

    name, code = cell["name"], cell["language"]
    return {
        "task": cell["task"],
        "label": name if name == code else f"{name} ({code})",
        "family": cell["family"],
        "script": cell["script"],
        "kinship": short(cell["kinship"]),
        "condition": cell["condition"],
        "value": short(cell["value"]),
        "delta": short(cell["delta"]),
        "low": short(cell["low"]),
        "high": short(cell["high"]),
        "verdict": cell["verdict"],
    }


def _means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The mean over the tasks that a language has, per condition; without intervals."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["label"], row["condition"]), []).append(row)
    return [
        group[0]
        | {
            "task": MEAN,
            "value": round(sum(row["value"] for row in group) / len(group), 2),
            "delta": None
            if any(row["delta"] is None for row in group)
            else round(sum(row["delta"] for row in group) / len(group), 2),
            "low": None,
            "high": None,
            "verdict": "open",
        }
        for group in groups.values()
    ]
