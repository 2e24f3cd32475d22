"""One cached Prefect task per kind of stage, made from its declaration, and the run that they belong to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from prefect import get_run_logger, task
from prefect.cache_policies import CachePolicy
from prefect.client.schemas.objects import State
from prefect.context import TaskRunContext
from prefect.states import Cancelled, Completed, Failed
from prefect.tasks import Task
from prefect.transactions import IsolationLevel, get_transaction

from tasks._cache import FlockManager, StoreKeys, reference
from tasks._progress import StageProgress
from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.calls import Listener, PoolClosed, StageFailed, StageTimedOut
from xtreme_dag.engine.dropping import Dropping
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.graph import Graph, Kind, Stage
from xtreme_dag.results.signals import signals_of
from xtreme_dag.wiring.kinds import KINDS

_SESSIONS: dict[str, Session] = {}
_GUARD = threading.Lock()


class Session:
    """One run in this process: the graph, the executor, who listens to progress, what drops weights (if they go), and
    what is called between stages.

    Tasks are given its id: Prefect parameters stay small, and what it holds need not be serialised.
    """

    def __init__(
        self,
        graph: Graph,
        executor: Executor,
        listen: Listener,
        dropping: Dropping | None = None,
        boundary: Callable[[], object] = lambda: None,
    ) -> None:
        self.id = uuid4().hex
        self.graph = graph
        self.executor = executor
        self.listen = listen
        self.dropping = dropping
        self.boundary = boundary
        self.urgency = executor.urgency(graph)

    def __enter__(self) -> Session:
        with _GUARD:
            _SESSIONS[self.id] = self
        return self

    def __exit__(self, *_exception: object) -> None:
        with _GUARD:
            del _SESSIONS[self.id]


def session_of(identifier: str) -> Session:
    """The session with this id, in this process."""
    return _SESSIONS[identifier]


def _parents(upstream: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {name: result["key"] for name, result in upstream.items()}


def _listener(here: Session, stage: Stage) -> StageProgress:
    """Who hears of a stage: the session's listener and the task run."""
    return StageProgress(here.executor.study, stage, lambda event: here.listen({**event, "stage": stage.name}))


class StageKey(CachePolicy):
    """Our key is Prefect's cache key."""

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """The key of the stage that a task run is for."""
        here = _SESSIONS[inputs["session"]]
        stage = here.graph[inputs["stage"]]
        key = here.executor.key(stage, _parents(inputs["upstream"]))
        # Before Prefect looks whether the key is there, so that it too says `Cached` of what the mirror has.
        here.executor.fetch(stage, key, _listener(here, stage))
        return key


def run_stage(session: str, stage: str, upstream: Mapping[str, Mapping[str, str]]) -> dict[str, str] | State[Any]:
    """Runs one stage of a session and returns a reference to its artifact.

    Args:
        session: id of the `Session`.
        stage: name of the stage.
        upstream: name -> reference of the stages that it needs.

    Returns:
        The reference, in a state whose message says what is to be doubted if anything is; or the state that the task
        run ends in: `Failed`, `TimedOut` if it took longer than it may,
        `Cancelled` if the run was stopped meanwhile. A state, since of an exception Prefect would log our own frames.
    """
    here = _SESSIONS[session]
    subject = here.graph[stage]
    here.listen({"event": "started", "stage": stage})
    try:
        result = here.executor.execute(subject, _parents(upstream), _listener(here, subject), here.urgency[stage])
    except (PoolClosed, StageFailed, UserError) as error:
        return _ended(failed_state(error, here.executor, subject))
    record = here.executor.store.standing(result.key)
    if record is None:
        return _ended(Failed(message="its artifact is not in the store after its commit"))
    here.listen({"event": "finished", "stage": stage, "cached": result.cached, "seconds": result.seconds})
    doubts = warned(here.executor.store.artifact(record.digest))
    return Completed(message=doubts, data=reference(record)) if doubts else reference(record)


def warned(artifact: Path) -> str:
    """What is to be doubted of an artifact, in a line; empty if nothing is."""
    signals = signals_of(artifact)
    return f"warning: {'; '.join(one.message for one in signals)}" if signals else ""


def failed_state(error: PoolClosed | StageFailed | UserError, executor: Executor, stage: Stage) -> State[Any]:
    """The state in which the task run of a stage that was not done ends; its log has the traceback, if there is one."""
    if isinstance(error, PoolClosed):
        return Cancelled(message=str(error))
    if isinstance(error, StageTimedOut):
        return Failed(name="TimedOut", message=f"{error}; its log: {error.log}")
    if isinstance(error, StageFailed):
        get_run_logger().error("%s\nthe log of its process: %s", error.traceback or error, error.log)
    else:
        get_run_logger().error("%s", error)
    return Failed(message=executor.failure(stage) or str(error))


def _ended(state: State[Any]) -> State[Any]:
    """A final state without an artifact: there is nothing to remember under the stage's key."""
    if (transaction := get_transaction()) is not None:
        transaction.write_on_commit = False
    return state


def _task(kind: Kind) -> Task[..., Any]:
    """The task of a kind."""

    def stage_task(session: str, stage: str, upstream: Mapping[str, Mapping[str, str]]) -> dict[str, str] | State[Any]:
        return run_stage(session, stage, upstream)

    stage_task.__name__ = stage_task.__qualname__ = kind.name
    stage_task.__doc__ = kind.title
    return task(name=kind.name)(stage_task)


TASKS: Mapping[str, Task[..., Any]] = {name: _task(kind) for name, kind in KINDS.items()}


def configured(session: Session, stage: Stage) -> Task[..., Any]:
    """The task of a stage's kind, named and cached for this stage of a session."""
    home = session.executor.home
    policy = StageKey().configure(
        key_storage=StoreKeys(store=str(home.store), results=str(home.prefect / "results"), gate=bool(stage.gates)),
        lock_manager=FlockManager(home.store / "locks"),
        isolation_level=IsolationLevel.SERIALIZABLE,
    )
    return TASKS[stage.kind].with_options(
        task_run_name=stage.name,
        cache_policy=policy,
        persist_result=True,
        result_storage=Path(home.prefect / "results"),
        result_serializer="json",
        cache_result_in_memory=False,
        refresh_cache=session.executor.is_forced(stage),
        # No tags: Prefect asks its server for a concurrency slot per tag and task, and a busy server fails the run.
        # Devices are leased by `engine.devices` instead.
    )
