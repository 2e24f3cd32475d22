"""The phases of a study as flows of their own, to be started or scheduled without the rest."""

from __future__ import annotations

from typing import Any

from prefect import Flow

from flows._flow import flow_of
from xtreme_dag.wiring.kinds import kinds_of


def _phase(name: str, title: str) -> Flow[..., Any]:
    return flow_of(__name__, name, title, kinds_of(name))


prepare_data = _phase("prepare_data", "Prepares, checks and encodes all data of a study.")
train_intermediate = _phase(
    "train_intermediate", "Trains the pretrained and intermediate models of a study, with the data that they need."
)
train_target = _phase("train_target", "Trains the target models of a study, with all that they need.")
evaluate = _phase(
    "evaluate", "Evaluates the models of a study in every language, lands the scores and writes the report."
)
