"""Runs a whole study: data, intermediate training, target training, evaluation, landing, report."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from prefect import flow

from flows._drive import Settings, drive, runner
from xtreme_dag.errors import UserError


@flow(
    name="study",
    flow_run_name="study[{study_file}]",
    task_runner=runner(),
    persist_result=False,
)
def study(study_file: str = "studies/demo.yaml", settings: Settings = Settings()) -> dict[str, Any]:
    """Runs a whole study: data, intermediate training, target training, evaluation, landing, report.

    Args:
        study_file: the study's YAML file.
        settings: how to run it; nothing in there changes a result.
    """
    return drive(study_file, settings)


def _main(request: dict[str, Any]) -> None:
    """Runs the flow for `xtreme-dag run` and writes what it did, or the user's mistake, where it is asked to."""
    try:
        state = study(request["study_file"], Settings(**request["settings"]), return_state=True)
        outcome = state.result(raise_on_failure=False)
        if isinstance(outcome, BaseException):
            raise outcome
        flow_run = str(state.state_details.flow_run_id)
        answer = {
            **outcome,
            "flow_run": flow_run,
            "task_runs": sum(outcome["stages"].values()) - outcome["stages"]["not run"],
        }
    except UserError as error:
        answer = {"error": {"what": error.what, "where": error.where, "fix": error.fix}}
    Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
