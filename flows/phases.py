"""The flows of a study: the whole of it, and its phases, to be started or scheduled without the rest."""

from __future__ import annotations

from typing import Any

from prefect import Flow, flow
from prefect.client.schemas.objects import State

from flows._drive import drive, run_name, runner
from flows._settings import Settings, documented, signature
from xtreme_dag.wiring.kinds import kinds_of


def flow_of(name: str, title: str, kinds: frozenset[str] = frozenset()) -> Flow[..., Any]:
    """A flow that runs the stages of some kinds, with what they need; of all kinds where none is given."""

    def run(study_file: str, **settings: Any) -> dict[str, Any] | State[Any]:
        return drive(study_file, Settings(**settings), kinds)

    run.__name__ = run.__qualname__ = name
    run.__doc__ = documented(title)
    run.__dict__["__signature__"] = signature()
    return flow(name=name, flow_run_name=run_name, task_runner=runner(), persist_result=False)(run)


def _phase(name: str, title: str) -> Flow[..., Any]:
    return flow_of(name, title, kinds_of(name))


study = flow_of(
    "study", "Runs a whole study: data, intermediate training, target training, evaluation, landing, report."
)
prepare_data = _phase("prepare_data", "Prepares, checks and encodes all data of a study.")
train_intermediate = _phase(
    "train_intermediate", "Trains the pretrained and intermediate models of a study, with the data that they need."
)
train_target = _phase("train_target", "Trains the target models of a study, with all that they need.")
evaluate = _phase(
    "evaluate", "Evaluates the models of a study in every language, lands the scores and writes the report."
)
