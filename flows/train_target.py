"""Trains the target models of a study, with all that they need."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows._drive import Settings, drive, runner


@flow(
    name="train_target",
    flow_run_name="train_target[{study_file}]",
    task_runner=runner(),
    persist_result=False,
)
def train_target(study_file: str = "studies/demo.yaml", settings: Settings = Settings()) -> dict[str, Any]:
    """Trains the target models of a study, with all that they need.

    Args:
        study_file: the study's YAML file.
        settings: how to run it; nothing in there changes a result.
    """
    return drive(study_file, settings, kinds=("target",))
