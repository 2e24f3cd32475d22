"""A pool of worker processes: a crash or a time-out of one costs the stage that it ran, nothing else."""

from __future__ import annotations

import heapq
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any

from xtreme_dag.engine.calls import Listener, PoolClosed, Request, StageFailed, ToldToEnd, Worker
from xtreme_dag.engine.forks import Starter


class Turns:
    """A number of places that go to the most urgent of those who wait; among equals, to who came first."""

    def __init__(self, places: int) -> None:
        self._free = self._places = places
        self._waiting: list[tuple[float, int]] = []
        self._count = 0
        self._changed = threading.Condition()

    @property
    def taken_places(self) -> int:
        """How many are taken now."""
        return self._places - self._free

    @contextmanager
    def taken(self, urgency: float) -> Iterator[None]:
        """Waits for a place and holds it."""
        with self._changed:
            mine = (-urgency, self._count)
            self._count += 1
            heapq.heappush(self._waiting, mine)
            self._changed.wait_for(lambda: self._free > 0 and self._waiting[0] == mine)
            heapq.heappop(self._waiting)
            self._free -= 1
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()


class WorkerPool:
    """At most `size` workers, started when needed and kept; the one used last is used next (warm caches).

    Args:
        size: how many.
        logs: folder of what they print.
        threads: of each.
        grace: seconds that a stage which writes checkpoints has for one when the pool is closed.
        starter: of several pools, one after another; it outlives them. By default a pool has its own.
    """

    def __init__(
        self, size: int, logs: Path, *, threads: int = 1, grace: float = 0.0, starter: Starter | None = None
    ) -> None:
        self.size = size
        self._grace = grace
        self._logs = logs
        self._starter = starter or Starter(threads, forks=size > 1)
        self._own_starter = starter is None
        self._modules: set[str] = set()
        self._free: LifoQueue[Worker] = LifoQueue()
        self._turns = Turns(size)
        self._all: list[Worker] = []
        self._closed = False
        self._guard = threading.Lock()

    def call(
        self, request: Request, listen: Listener, urgency: float = 0.0, first: Callable[[], object] = lambda: None
    ) -> Mapping[str, Any]:
        """Runs a request in a free worker; waits for one if all are busy, the most urgent first.

        `first` is called when it is the request's turn; what it raises comes through, and nothing runs.
        When somebody told the process alone to end, the request runs once more in another one.

        Raises:
            UserError: the stage function says that the user can mend it.
            StageFailed: it raised something else, its process died, or time was up.
            PoolClosed: the pool was closed before or meanwhile.
        """
        with self._turns.taken(urgency):
            first()
            try:
                return self._call(request, listen)
            except ToldToEnd as told:
                listen({"event": "log", "message": f"warning: {told}; it runs again in another process"})
            shutil.rmtree(request.out)
            request.out.mkdir()
            return self._call(request, listen)

    def _call(self, request: Request, listen: Listener) -> Mapping[str, Any]:
        """One attempt."""
        worker = self._take(request.imports)
        try:
            return worker.call(request, listen)
        except StageFailed as failed:
            if self._closed:
                raise (PoolClosed(str(failed)) if isinstance(failed, ToldToEnd) else PoolClosed()) from None
            raise
        finally:
            with self._guard:
                if worker.alive and not self._closed:
                    self._free.put(worker)
                else:
                    worker.close_pipes()

    def _take(self, modules: Collection[str]) -> Worker:
        while not self._closed:
            try:
                worker = self._free.get_nowait()
            except Empty:
                break
            if not self._starter.forks or worker.modules.issuperset(modules):
                if worker.alive:
                    return worker
            else:
                worker.close_pipes()  # it ends, and a process that has them all is forked
        with self._guard:
            # Under the guard, so that none starts after `close` has ended them all.
            if self._closed:
                raise PoolClosed
            self._modules |= set(modules)
            log = self._logs / f"worker-{os.getpid()}-{len(self._all)}.log"
            worker = Worker(log, self._starter, self._modules)
            self._all.append(worker)
        return worker

    @property
    def busy(self) -> bool:
        """Whether a stage runs."""
        return self._turns.taken_places > 0

    @property
    def closed(self) -> bool:
        """Whether no stage starts any more."""
        return self._closed

    def pause(self) -> None:
        """Starts nothing any more; stages that write checkpoints stop after one, others go on to their ends."""
        with self._guard:
            self._closed = True
        for worker in self._all:
            worker.ask(leave=False)

    def close(self) -> None:
        """Ends all workers; whoever waits for one or has one is told `PoolClosed`."""
        with self._guard:
            self._closed = True
        end = time.monotonic() + self._grace
        if self._grace:
            for worker in self._all:
                worker.ask(leave=True)
            for worker in self._all:
                with suppress(subprocess.TimeoutExpired):
                    worker.process.wait(max(0.0, end - time.monotonic()))
        if self._own_starter:
            self._starter.close()
        for worker in self._all:
            worker.kill()
        for worker in self._all:
            worker.process.wait()
        # The others are being read: whoever reads one sees its end, and closes it.
        while not self._free.empty():
            self._free.get_nowait().close_pipes()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
