"""Evaluates the models of a study in every language, lands the scores and writes the report."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows._drive import Settings, drive, runner


@flow(
    name="evaluate",
    flow_run_name="evaluate[{study_file}]",
    task_runner=runner(),
    persist_result=False,
)
def evaluate(study_file: str = "studies/demo.yaml", settings: Settings = Settings()) -> dict[str, Any]:
    """Evaluates the models of a study in every language, lands the scores and writes the report.

    Args:
        study_file: the study's YAML file.
        settings: how to run it; nothing in there changes a result.
    """
    return drive(study_file, settings, kinds=("evaluate",))
