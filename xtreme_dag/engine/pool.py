"""A pool of worker processes: a crash or a time-out of one costs the stage that it ran, nothing else."""

from __future__ import annotations

import heapq
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.forks import Process, Starter
from xtreme_dag.engine.worker import TOLD

Listener = Callable[[Mapping[str, Any]], None]


class StageFailed(Exception):
    """A stage function raised something that is not the user's doing.

    Attributes:
        traceback: of the stage function; empty if its process did not live to tell.
        log: what its process printed.
    """

    def __init__(self, message: str, traceback: str = "", log: Path | None = None) -> None:
        super().__init__(message)
        self.traceback = traceback
        self.log = log


class StageTimedOut(StageFailed):
    """A stage took longer than it may."""


class PoolClosed(Exception):
    """The run was stopped: no stage starts any more, and what was running did not fail of itself."""

    def __init__(self, message: str = "the run was stopped before this stage was done") -> None:
        super().__init__(message)


class _Told(StageFailed):
    """A process was told to end, and its stage may go on in another one."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call of a stage function.

    Attributes:
        function: dotted name.
        params: the stage's parameters.
        inputs: name -> path.
        out: empty folder for the artifact.
        scratch: folder that survives a kill.
        options: device, threads and the like.
        imports: modules that it imports; a worker that is forked has them already.
        timeout: seconds after which the worker is killed; None for no limit.
    """

    function: str
    params: Mapping[str, Any]
    inputs: Mapping[str, Path]
    out: Path
    scratch: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    imports: Sequence[str] = ()
    timeout: float | None = None

    def line(self) -> str:
        """The request as the worker reads it."""
        return (
            json.dumps(
                {
                    "function": self.function,
                    "params": dict(self.params),
                    "inputs": {name: str(path) for name, path in self.inputs.items()},
                    "out": str(self.out),
                    "scratch": str(self.scratch),
                    "options": dict(self.options),
                }
            )
            + "\n"
        )


class _Worker:
    """One process and its pipes."""

    def __init__(self, log: Path, starter: Starter, modules: Collection[str]) -> None:
        self.log = log
        self.modules = frozenset(modules)
        self._orders = threading.Lock()
        stdin, stdout = os.pipe(), os.pipe()
        try:
            self.process: Process = starter.start(log, stdin[0], stdout[1], modules)
        except BaseException:
            os.close(stdin[1])
            os.close(stdout[0])
            raise
        finally:
            os.close(stdin[0])
            os.close(stdout[1])
        self._stdin, self._stdout = os.fdopen(stdin[1], "w"), os.fdopen(stdout[0])

    def call(self, request: Request, listen: Listener) -> Mapping[str, Any]:
        """Sends a request and passes events on until the answer comes."""
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self.kill()

        timer = threading.Timer(request.timeout, expire) if request.timeout else None
        try:
            if timer:
                timer.start()
            self._write(request.line())
            for line in self._stdout:
                event = json.loads(line)
                if event["event"] == "done":
                    return event  # type: ignore[no-any-return]  # JSON read back: a mapping
                if event["event"] == "error":
                    self._raise(event)
                if event["event"] == "stopped":
                    self.kill()
                    self.process.wait()  # or it would be given the next stage while it ends
                    raise _Told(event["message"], log=self.log)
                listen(event)
        except BrokenPipeError:
            pass
        finally:
            if timer:
                timer.cancel()
        if expired.is_set():
            self.process.wait()  # or it would count as alive for a moment, and be given the next stage
            raise StageTimedOut(f"stopped after {request.timeout:.0f} s (time limit)", log=self.log)
        code = self.process.wait()
        died = f"its process died ({_death(code)}); see {self.log}"
        raise (_Told if -code in TOLD else StageFailed)(died, log=self.log)

    def _raise(self, event: Mapping[str, Any]) -> None:
        if "traceback" in event:
            raise StageFailed(event["what"], event["traceback"], self.log)
        raise UserError(event["what"], where=event["where"], fix=event["fix"])

    def _write(self, line: str) -> None:
        with self._orders:
            self._stdin.write(line)
            self._stdin.flush()

    def ask(self, *, leave: bool) -> None:
        """Asks the stage that looks whether it shall stop to do so; with `leave` the process ends, too."""
        with suppress(OSError, ValueError):  # it is gone, or its pipe is closed
            self._write(json.dumps({"stop": "leave" if leave else "stage"}) + "\n")

    @property
    def alive(self) -> bool:
        """Whether it can take another request."""
        return self.process.poll() is None

    def kill(self) -> None:
        """Ends the process and its children at once."""
        if group := self.process.pid:  # else it was never started
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def close_pipes(self) -> None:
        """Closes both pipes of a process that nobody reads from."""
        for pipe in (self._stdin, self._stdout):
            with suppress(BrokenPipeError):
                pipe.close()


def _death(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"{name}: probably out of memory" if name == "SIGKILL" else name


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
    """

    def __init__(self, size: int, logs: Path, *, threads: int = 1, grace: float = 0.0) -> None:
        self.size = size
        self._grace = grace
        self._logs = logs
        self._starter = Starter(threads, forks=size > 1)
        self._modules: set[str] = set()
        self._free: LifoQueue[_Worker] = LifoQueue()
        self._turns = Turns(size)
        self._all: list[_Worker] = []
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
            except _Told as told:
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
                raise (PoolClosed(str(failed)) if isinstance(failed, _Told) else PoolClosed()) from None
            raise
        finally:
            with self._guard:
                if worker.alive and not self._closed:
                    self._free.put(worker)
                else:
                    worker.close_pipes()

    def _take(self, modules: Collection[str]) -> _Worker:
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
            worker = _Worker(log, self._starter, self._modules)
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
