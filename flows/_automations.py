"""What a server does about runs whose machine is gone: marks them `Crashed`, and starts them again where that is wanted."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

TAG = "xtreme-dag"
HEARTBEAT_SECONDS = 30  # the least that Prefect allows
_DEAD_SECONDS = 100.0  # three heartbeats, and what a busy machine needs for them
_AGAIN = "its process was gone"
_LIFE = "prefect.flow-run.heartbeat"
_ENDS = tuple(f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed", "Suspended"))


def mark_dead_runs(client: SyncPrefectClient, seconds: float = _DEAD_SECONDS) -> None:
    """Makes the automation that marks a run of any deployment `Crashed` once its heartbeats stop, or brings it up to date."""
    trigger = EventTrigger(
        posture=Posture.Proactive,
        after={_LIFE},
        expect={_LIFE, *_ENDS},
        match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
        match_related=ResourceSpecification({"prefect.resource.id": f"prefect.tag.{TAG}"}),
        for_each={"prefect.resource.id"},
        threshold=1,
        within=timedelta(seconds=seconds),
    )
    action = ChangeFlowRunState(
        state=StateType.CRASHED, name="Crashed", message=f"no sign of life for {seconds:.0f} s", force=False
    )
    _keep(client, AutomationCore(name=f"{TAG}: dead runs", trigger=trigger, actions=[action]))


def start_again(client: SyncPrefectClient, deployment: str, name: str, retries: int) -> None:
    """Makes the automation that starts a deployment's crashed runs again; removes it where there are no retries.

    A server would do so without end; the run itself counts, see `too_often`.

    Args:
        client: of the server.
        deployment: id of the deployment.
        name: what people call it.
        retries: how often.
    """
    trigger = EventTrigger(
        posture=Posture.Reactive,
        expect={"prefect.flow-run.Crashed"},
        match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
        match_related=ResourceSpecification({"prefect.resource.id": f"prefect.deployment.{deployment}"}),
        threshold=1,
    )
    action = ChangeFlowRunState(state=StateType.SCHEDULED, name="AwaitingRetry", message=_AGAIN, force=False)
    automation = AutomationCore(name=f"{TAG}: start {name} again", trigger=trigger, actions=[action])
    _keep(client, automation, wanted=retries > 0)


def too_often(client: SyncPrefectClient, run: UUID, retries: int) -> bool:
    """Whether a flow run was just started again by the automation, and more often than it may."""
    starts = [state.message for state in client.read_flow_run_states(run) if state.is_scheduled()]
    return bool(starts) and starts[-1] == _AGAIN and starts.count(_AGAIN) > retries


def _keep(client: SyncPrefectClient, automation: AutomationCore, wanted: bool = True) -> None:
    """Makes an automation of this name the only one, or none."""
    for old in client.read_automations_by_name(automation.name):
        client.delete_automation(old.id)
    if wanted:
        client.create_automation(automation)
