"""A stage on another machine: everything that it needs is in its order, and what is there is made when first needed."""

from __future__ import annotations

import atexit
import json
import os
import platform
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.context import TaskRunContext
from prefect.states import Completed, Failed
from prefect.tasks import Task

import xtreme_dag
from tasks._cache import reference
from tasks._progress import StageProgress
from tasks._server import ask_until
from tasks._stage import failed_state, warned
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import VARIABLE, Home
from xtreme_dag.engine.calls import PoolClosed, StageFailed
from xtreme_dag.engine.devices import find_devices
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.graph import Kind, Stage
from xtreme_dag.engine.keys import Keys, changes
from xtreme_dag.engine.mirror import LONG, Mirror
from xtreme_dag.engine.orders import Order, stage_of
from xtreme_dag.engine.pool import WorkerPool
from xtreme_dag.wiring.kinds import KINDS

# A stage has a process of its own, and as many run here as the engine gives to this process at once: one, if its
# workers have one thread each.
_MOST = 64
_LOOK_SECONDS = 10.0
_GRACE_SECONDS = 25.0  # for a last checkpoint; what runs a machine's processes kills them after some 30 s
_SAVE_SECONDS = 30.0
_SAVED = float("-inf")
_OURS = xtreme_dag.__name__

_EXECUTORS: dict[str, tuple[Executor, WorkerPool]] = {}
_GUARD = threading.Lock()


def run_order(order: Mapping[str, Any]) -> State[Any]:
    """Runs a stage here: brings what it needs, looks whether it is there, else runs it and pushes what it made.

    Args:
        order: an `Order` as JSON.

    Returns:
        `Completed` (`Cached` if it was there) with the reference of its artifact, `host`, `home` and `seconds`; else the
        state in which the task run ends.
    """
    wanted = Order(**order)
    stage = stage_of(wanted.stage)
    host = platform.node()
    try:
        executor, pool = _executor(wanted, stage.function.partition(".")[0])
    except (UserError, OSError) as error:
        return Failed(message=f"on {host}: {error}")
    listen = StageProgress(wanted.study, stage, lambda event: None)
    get_run_logger().info("on %s, process %s, home %s", host, os.getpid(), executor.home.root)
    try:
        for name, parent in wanted.parents.items():
            executor.bring(name, parent["key"], parent["digest"], listen)
        parents = {name: parent["key"] for name, parent in wanted.parents.items()}
        _agree(executor, stage, parents, wanted)
        executor.expected = {stage.name: wanted.expected}
        if wanted.forced:
            executor.force(stage)
        with _ended_with_its_run(pool):
            result = executor.execute(stage, parents, listen, wanted.urgency)
        executor.deliver(stage, result.key, listen, forced=wanted.forced)
    except (PoolClosed, StageFailed, UserError) as error:
        return failed_state(error, executor, stage)
    finally:
        _save(executor)
    record = executor.store.standing(result.key)
    if record is None:
        return Failed(message="its artifact is not in the store after its commit")
    told = {**reference(record), "host": host, "home": str(executor.home.root), "seconds": result.seconds}
    how = f"reused artifact {record.digest[:16]}" if result.cached else f"made in {result.seconds:.1f} s"
    doubts = warned(executor.store.artifact(record.digest))
    state: State[Any] = Completed(
        name="Cached" if result.cached else "Completed",
        message="; ".join(filter(None, (f"{how} on {host}", doubts))),
        data=told,
    )
    state.state_details.cache_key = record.key
    return state


def _save(executor: Executor) -> None:
    """Writes what was learnt about files and code, now and then."""
    global _SAVED
    if time.monotonic() - _SAVED > _SAVE_SECONDS:
        _SAVED = time.monotonic()
        with suppress(OSError):
            executor.save()


def _executor(order: Order, package: str) -> tuple[Executor, WorkerPool]:
    """The executor of this process for such orders, made when it is first needed.

    Args:
        order: one of them.
        package: that has the stage function.

    Raises:
        UserError: what the order needs is not on this machine.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")  # an engine that gives out GPUs changes it from task to task
    same = (order.home, order.mirror, order.study, order.run, order.options, order.device, package, visible)
    name = json.dumps(same, sort_keys=True)
    with _GUARD:
        found = _EXECUTORS.get(name)
        if found is not None and not found[1].closed:
            return found
        home = Home.find(os.environ.get(VARIABLE) or order.home if order.mirrored else order.home)
        if not order.mirrored and not home.store.is_dir():
            raise UserError(
                "is not on this machine", where=f"home {home.root}", fix="put it on a shared disk, or name a --mirror"
            )
        mirror = Mirror.find(order.mirror, LONG, listing=False) if order.mirrored else None
        if order.mirrored and mirror is None:
            raise UserError("is not known here", where="the mirror", fix="put its URL into the workers' environment")
        for other, (_, pool) in list(_EXECUTORS.items()):
            # Those of another run, or with other GPUs, hold memory; one that is at work is needed still.
            if not pool.busy:
                pool.close()
                del _EXECUTORS[other]
        threads = int(order.options.get("threads", 1))
        pool = WorkerPool(_MOST, home.ensure().logs, threads=threads, grace=_GRACE_SECONDS)
        atexit.register(pool.close)
        executor = Executor(
            home,
            order.study,
            pool,
            options=order.options,
            devices=find_devices(order.device),
            keys=Keys.of("" if package == _OURS else package),
            mirror=mirror,
            run=order.run,
        )
        _EXECUTORS[name] = executor, pool
        return executor, pool


def _agree(executor: Executor, stage: Stage, parents: Mapping[str, str], order: Order) -> None:
    """Holds that this machine has the same code, libraries and raw files as the one that the order is from.

    Raises:
        UserError: it has not; says what differs.
    """
    digests = executor.inputs.digests(stage, parents)
    if executor.keys.key(stage, digests) == order.key:
        return
    own = executor.keys.identity(stage, digests)
    differ = [f"{name} {ours} here and {theirs} there" for name, theirs, ours in changes(order.identity, own)]
    raise UserError(
        f"this machine would make something else: {'; '.join(differ[:3])}",
        where=platform.node(),
        fix="give all machines the same package, libraries and raw files",
    )


@contextmanager
def _ended_with_its_run(pool: WorkerPool) -> Iterator[None]:
    """Ends what runs here when somebody cancels or suspends the flow run; its own process cannot reach this one."""
    context = TaskRunContext.get()
    flow_run = context.task_run.flow_run_id if context is not None else None
    ended = threading.Event()

    def look(client: SyncPrefectClient) -> None:
        assert flow_run is not None
        found = client.read_flow_run(flow_run)
        state = found.state
        if state is not None and (state.is_cancelling() or state.is_cancelled()):
            ended.set()
            pool.close()
        elif state is not None and state.is_paused() and found.deployment_id is not None:
            ended.set()
            pool.pause()

    if flow_run is not None:
        ask_until(ended, look, _LOOK_SECONDS)
    try:
        yield
    finally:
        ended.set()


def _task(kind: Kind) -> Task[..., Any]:
    """The task of a kind, for engines that run it elsewhere."""

    def order_task(order: Mapping[str, Any]) -> State[Any]:
        return run_order(order)

    order_task.__name__ = order_task.__qualname__ = kind.name
    order_task.__doc__ = kind.title
    # What is there is found by the store and the mirror; a result of Prefect's own would lie on one machine.
    return task(name=kind.name, cache_policy=NO_CACHE, persist_result=False)(order_task)


ORDERS: Mapping[str, Task[..., Any]] = {name: _task(kind) for name, kind in KINDS.items()}
