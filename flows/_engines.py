"""Engines that give a study's stages to machines: Dask and Ray, through Prefect's task runners for them."""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import State, TaskRunResult
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner
from prefect.tasks import Task

from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.graph import Stage

THREADS, DASK, RAY = "threads", "dask", "ray"
GPU = "GPU"  # the name under which Dask workers and Ray nodes say how many they have
_COUNT_SECONDS = 1.0


class Engine(ABC):
    """A task runner of machines.

    Args:
        runner: entered already.
        threads: CPU threads of each stage.
    """

    def __init__(self, runner: TaskRunner[Any], threads: int) -> None:
        self.runner, self.threads = runner, threads
        self._counted, self._places = float("-inf"), (0, 0)

    def places(self) -> tuple[int, int]:
        """How many stages, and how many GPUs, the machines that are there now have room for."""
        if time.monotonic() - self._counted > _COUNT_SECONDS:
            self._places, self._counted = self.count(), time.monotonic()
        return self._places

    @abstractmethod
    def count(self) -> tuple[int, int]:
        """As `places`, counted anew."""

    @abstractmethod
    def submit(
        self, task: Task[..., Any], order: dict[str, Any], stage: Stage, devices: int, upstream: list[UUID]
    ) -> PrefectFuture[Any]:
        """Gives a stage to the machines.

        Args:
            task: of its kind.
            order: its order.
            stage: the stage.
            devices: how many GPUs it takes.
            upstream: task runs that it needs, for the edges of the graph in Prefect.
        """

    @staticmethod
    def _parameters(order: dict[str, Any], upstream: list[UUID]) -> dict[str, Any]:
        return {
            "parameters": {"order": order},
            "dependencies": {"order": {TaskRunResult(id=each) for each in upstream}},
        }

    def state(self, future: PrefectFuture[Any]) -> State[Any] | None:
        """The final state of a stage; None if it was given up because machine after machine was lost under it."""
        with suppress(Exception):  # each engine has errors of its own, and here they all mean the same
            future.wait()
        found: State[Any] | None = getattr(future, "_final_state", None)
        return found

    def flush(self) -> None:
        """Lets the machines send what they have to tell the server; nothing, unless an engine has a way."""
        return


class _Dask(Engine):
    def count(self) -> tuple[int, int]:
        workers = self.runner.client.scheduler_info(n_workers=-1)["workers"].values()  # type: ignore[attr-defined]
        return (
            sum(worker["nthreads"] for worker in workers),
            int(sum(worker.get("resources", {}).get(GPU, 0) for worker in workers)),
        )

    def submit(
        self, task: Task[..., Any], order: dict[str, Any], stage: Stage, devices: int, upstream: list[UUID]
    ) -> PrefectFuture[Any]:
        dask: Any = import_module("dask")
        told: dict[str, Any] = {"priority": round(order["urgency"])}
        if devices:
            told["resources"] = {GPU: devices}
        with dask.annotate(**told):
            return self.runner.submit(task, **self._parameters(order, upstream))  # type: ignore[no-any-return]

    def flush(self) -> None:
        with suppress(Exception):  # a worker that is lost has nothing to say
            self.runner.client.run(_tell_all, on_error="ignore")  # type: ignore[attr-defined]


def _tell_all() -> None:
    """Sends what a worker process has to tell Prefect's server; in a thread, since an event loop calls this."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (EventsWorker, APILogWorker):
        thread = threading.Thread(target=worker.drain_all, kwargs={"timeout": 10})
        thread.start()
        thread.join(10)


class _Ray(Engine):
    def count(self) -> tuple[int, int]:
        ray: Any = import_module("ray")
        there = ray.cluster_resources()
        return int(there.get("CPU", 0)) // self.threads, int(there.get(GPU, 0))

    def submit(
        self, task: Task[..., Any], order: dict[str, Any], stage: Stage, devices: int, upstream: list[UUID]
    ) -> PrefectFuture[Any]:
        remote_options = import_module("prefect_ray.context").remote_options
        # Retried on another machine when its own is lost; by default a process with a GPU would end after each stage.
        told = {"num_cpus": self.threads, "num_gpus": devices, "max_retries": 3, "max_calls": 0}
        with remote_options(**told):
            return self.runner.submit(task, **self._parameters(order, upstream))  # type: ignore[no-any-return]


@contextmanager
def engine_of(name: str, address: str | None, workers: int, threads: int) -> Iterator[Engine]:
    """An engine: the one at an address, or one of this machine's own for the time of the block.

    Args:
        name: `dask` or `ray`.
        address: of the scheduler: `tcp://host:8786`, `host:6379`, `ray://host:10001`.
        workers: processes of an engine of this machine's own.
        threads: CPU threads of each stage.

    Raises:
        UserError: its package is not installed, or nobody answers at the address.
    """
    try:
        runner: Any = (_dask if name == DASK else _ray)(address, workers, threads)
    except ImportError as error:
        raise UserError(
            f"the engine {name} is not installed ({error})", where="--engine", fix=f"install xtreme-dag[{name}]"
        ) from None
    try:
        runner.__enter__()
        found = (_Dask if name == DASK else _Ray)(runner, threads)
        found.places()
    except (OSError, TimeoutError, ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(
            f"no {name} at {address or 'this machine'}: {' '.join(str(error).split())[:200]}",
            where="--address",
            fix="see docs/operation.md",
        ) from None
    try:
        yield found
    finally:
        found.flush()
        runner.__exit__(None, None, None)


def _dask(address: str | None, workers: int, threads: int) -> Any:
    runner: Any = import_module("prefect_dask").DaskTaskRunner
    if address:
        return runner(address=address)
    local = {
        "n_workers": workers,
        "threads_per_worker": 1,
        "host": "127.0.0.1",
        "dashboard_address": None,
        "silence_logs": "ERROR",
    }
    return runner(cluster_class="distributed.LocalCluster", cluster_kwargs=local)


def _ray(address: str | None, workers: int, threads: int) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray would put nothing in the place of a GPU that a stage does not ask for, and hide all of them.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if not address:
        # Without it Ray's processes take orders on every network interface of the machine, from whoever can reach it,
        # whatever address they are given: Ray reads, when it is imported, that there is this machine alone.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import_module("ray")  # prefect_ray imports it only when it is used
    runner: Any = import_module("prefect_ray").RayTaskRunner
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if address:
        return runner(address=address, init_kwargs=quiet)
    local = {"num_cpus": workers * threads, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    return runner(init_kwargs={**quiet, **local})
