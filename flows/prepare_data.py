"""Prepares, checks and encodes all data of a study."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows._drive import Settings, drive, runner


@flow(
    name="prepare_data",
    flow_run_name="prepare_data[{study_file}]",
    task_runner=runner(),
    persist_result=False,
)
def prepare_data(study_file: str = "studies/demo.yaml", settings: Settings = Settings()) -> dict[str, Any]:
    """Prepares, checks and encodes all data of a study.

    Args:
        study_file: the study's YAML file.
        settings: how to run it; nothing in there changes a result.
    """
    return drive(study_file, settings, kinds=("prepare", "check", "encode"))
