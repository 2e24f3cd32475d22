"""The phases of a study as flows of their own, to be started or scheduled without the rest."""

from __future__ import annotations

from typing import Any

from prefect import Flow, flow
from prefect.client.schemas.objects import State

from flows._drive import Settings, drive, run_name, runner
from xtreme_dag.wiring.kinds import kinds_of


def _phase(name: str, title: str) -> Flow[..., Any]:
    """The flow of a phase."""

    def phase(study_file: str = "studies/demo.yaml", settings: Settings = Settings()) -> dict[str, Any] | State[Any]:
        return drive(study_file, settings, kinds_of(name))

    phase.__name__ = phase.__qualname__ = name
    phase.__doc__ = f"""{title}

    Args:
        study_file: the study's YAML file.
        settings: how to run it; nothing in there changes a result.
    """
    return flow(name=name, flow_run_name=run_name, task_runner=runner(), persist_result=False)(phase)


prepare_data = _phase("prepare_data", "Prepares, checks and encodes all data of a study.")
train_intermediate = _phase(
    "train_intermediate", "Trains the pretrained and intermediate models of a study, with the data that they need."
)
train_target = _phase("train_target", "Trains the target models of a study, with all that they need.")
evaluate = _phase(
    "evaluate", "Evaluates the models of a study in every language, lands the scores and writes the report."
)
