"""Warnings of a study's stages in lines: by condition and task, as `run`, its flow and the report say them."""

from __future__ import annotations

from typing import Any

from xtreme_dag.core.home import Home
from xtreme_dag.results.query import reader


def warnings_of(home: Home, study: str) -> list[dict[str, Any]]:
    """What is to be doubted of a study: condition, task, warning, languages (of how many), message of the first."""
    with reader(home, predictions=False) as connection:
        rows = connection.execute(
            "SELECT condition, task, warning, languages, of_languages, message FROM warnings"
            " JOIN conditions USING (study, condition) WHERE study = ? ORDER BY position, task, warning",
            [study],
        ).fetchall()
    names = ("condition", "task", "warning", "languages", "of_languages", "message")
    return [dict(zip(names, row, strict=True)) for row in rows]


def line(row: dict[str, Any]) -> str:
    """One of them in words."""
    return (
        f"{row['condition']} on {row['task']}: {row['warning']} in {row['languages']} of {row['of_languages']} languages "
        f"({row['message']})"
    )
