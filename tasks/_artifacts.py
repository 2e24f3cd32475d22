"""What a run shows in Prefect's UI beside its stages: a short report, and what became of the stages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.logging import get_run_logger

from tasks._server import impatient
from xtreme_dag.report.short import Short


def artifact_key(*parts: str) -> str:
    """The key of an artifact, under which Prefect keeps its versions: lower-case letters, digits and dashes alone."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


def show_report(study: str, short: Short, report: str) -> None:
    """Shows a report in short: question, answer and conditions as Markdown, the differences as a table.

    Args:
        study: name of the study.
        short: its report in short.
        report: path of the page.
    """
    text = f"{short.markdown}\nThe whole report, with charts: `{report}`\n"
    _show(create_markdown_artifact, key=artifact_key("report", study), markdown=text, description=f"Report of {study}")
    if short.table:
        show_table(
            "differences",
            study,
            short.table,
            f"Differences to the baseline of {study}, in points, for unseen and seen languages",
        )


def show_table(kind: str, study: str, rows: Sequence[Mapping[str, Any]], description: str) -> None:
    """Shows rows as a table."""
    table = [dict(row) for row in rows]
    _show(create_table_artifact, key=artifact_key(kind, study), table=table, description=description)


def _show(create: Callable[..., Any], **content: Any) -> None:
    """Creates an artifact; what the server does not take is no reason to lose a run whose results are safe."""
    try:
        with impatient():
            create(**content)
    except Exception as error:
        get_run_logger().warning("not shown in Prefect: %s (%s: %s)", content["key"], type(error).__name__, error)
