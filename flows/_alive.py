"""Which flow runs have a living process: what dead ones left open is closed, and a living one is followed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, TaskRunFilter, TaskRunFilterState
from prefect.client.schemas.filters import TaskRunFilterStateType as OfType
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.context import FlowRunContext
from prefect.exceptions import Pause
from prefect.states import Crashed, Running, Suspended

from tasks._server import REFUSALS, answers, ask_until, server_client
from xtreme_dag.core.home import Home
from xtreme_dag.core.locks import try_lock, unlock, wait_for

_LOOK_SECONDS = 10.0
_AT_ONCE = 200  # the most rows that Prefect answers with


def current_run() -> FlowRun:
    """The flow run that this code is part of."""
    context = FlowRunContext.get()
    assert context is not None and context.flow_run is not None
    return context.flow_run


@contextmanager
def alive(home: Home) -> Iterator[None]:
    """Holds a lock in the home while the current flow run is under way, and closes the runs whose lock nobody holds.

    A process that was killed cannot say so; its flow run and task runs would be "Running" without end.
    """
    own = current_run()
    folder = home.prefect / "runs"
    path = folder / f"{own.id}.lock"
    # An earlier attempt of the same run may still be there, if it was taken for dead.
    handle = wait_for(lambda: try_lock(path, own.name))
    assert handle is not None
    try:
        with suppress(*REFUSALS), server_client() as client:
            if own.run_count > 1:
                _close_tasks(client, own.id)
            for other in sorted(folder.glob("*.lock")):
                if other != path:
                    _close(client, other)
        yield
    finally:
        if answers(attempts=1):  # or the next run tells the server how this one ended
            path.unlink(missing_ok=True)
        unlock(handle)


def _close(client: SyncPrefectClient, path: Path) -> None:
    """Ends a flow run whose process is gone; one that this server does not know is left for its own."""
    handle = try_lock(path, "closing")
    if handle is None:
        return
    try:
        run = client.read_flow_run(UUID(path.stem))
        _close_tasks(client, run.id)
        if run.state is None or not run.state.is_final():
            client.set_flow_run_state(run.id, Crashed(message="its process is gone"), force=True)
            get_run_logger().info("closed the run %s, whose process is gone", run.name)
        path.unlink(missing_ok=True)
    except REFUSALS:
        pass
    finally:
        unlock(handle)


def _close_tasks(client: SyncPrefectClient, run: UUID) -> None:
    """Ends the task runs of a flow run that have not ended."""
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run]))
    unfinished = TaskRunFilter(state=TaskRunFilterState(type=OfType(any_=[StateType.RUNNING, StateType.PENDING])))
    while found := client.read_task_runs(flow_run_filter=of_run, task_run_filter=unfinished, limit=_AT_ONCE):
        for task in found:
            client.set_task_run_state(task.id, Crashed(message="the process of its flow run is gone"), force=True)


class Watch:
    """Asks the server now and then what has become of the current flow run.

    Prefect's own watch for cancellations gives up when the server was away for half a minute, its automations take a run
    for dead whose server was away, and it suspends a run when the next task starts, which may be in a day.

    Attributes:
        cancelled: whether somebody cancelled the run.

    Args:
        stop: called once when the run is cancelled.
        pause: called once when the run is suspended.
        seconds: between two questions.
    """

    def __init__(
        self, stop: Callable[[], object], pause: Callable[[], object] = lambda: None, seconds: float = _LOOK_SECONDS
    ) -> None:
        self.cancelled = False
        self._suspended: State[Any] | None = None
        self._stop, self._pause, self._seconds = stop, pause, seconds
        self._run, self._deployed = current_run().id, current_run().deployment_id is not None
        self._ended = threading.Event()

    def __enter__(self) -> Watch:
        ask_until(self._ended, self._look, self._seconds)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()

    def boundary(self) -> None:
        """Called between stages.

        Raises:
            Pause: the run is suspended; a worker starts it again when somebody resumes it.
        """
        if self._suspended is not None:
            raise Pause(state=self._suspended)

    def _look(self, client: SyncPrefectClient) -> None:
        state = client.read_flow_run(self._run).state
        if state is None or self._ended.is_set():
            return
        if state.is_crashed():  # taken for dead, which may be after somebody cancelled or suspended it
            others = (one for one in client.read_flow_run_states(self._run) if not one.is_crashed())
            before = max(others, key=lambda one: one.timestamp)
            running: State[Any] = Running(message="it was taken for dead and is not")
            state = before.fresh_copy() if before.is_cancelling() or before.is_paused() else running
            client.set_flow_run_state(self._run, state, force=True)
        if state.is_cancelling() or state.is_cancelled():
            self.cancelled = True
            self._ended.set()
            self._stop()
        elif state.is_paused() and not self._deployed:
            why = "only runs of deployments can be suspended; interrupt this one, and start it again to go on"
            client.set_flow_run_state(self._run, Running(message=why), force=True)
            get_run_logger().warning("%s", why)
        elif state.is_paused() and self._suspended is None:
            if not state.state_details.pause_reschedule:  # a pause that keeps its process, and with it its GPUs
                suspended: State[Any] = Suspended(pause_expiration_time=state.state_details.pause_timeout)
                state = client.set_flow_run_state(self._run, suspended, force=True).state or suspended
            self._suspended = state
            self._pause()
