"""A flow over a study: all of its stages, or those of some kinds."""

from __future__ import annotations

from typing import Any

from prefect import Flow, flow
from prefect.client.schemas.objects import State

from flows._drive import drive, run_name, runner
from flows._settings import Settings, documented, signature


def flow_of(module: str, name: str, title: str, kinds: frozenset[str] = frozenset()) -> Flow[..., Any]:
    """A flow that runs the stages of some kinds, with what they need; of all kinds where none is given.

    Args:
        module: where workers find the flow by its name.
        name: of the flow.
        title: what it does.
        kinds: names of the kinds.
    """

    def run(study_file: str, **settings: Any) -> dict[str, Any] | State[Any]:
        return drive(study_file, Settings(**settings), kinds)

    run.__module__ = module
    run.__name__ = run.__qualname__ = name
    run.__doc__ = documented(title)
    run.__dict__["__signature__"] = signature()
    return flow(name=name, flow_run_name=run_name, task_runner=runner(), persist_result=False)(run)
