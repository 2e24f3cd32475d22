"""One call of a stage function in a worker process, seen from the parent: what is sent, heard and raised."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
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


class ToldToEnd(StageFailed):
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
        imports: modules that it imports; a worker imports them beforehand, one that is forked has them already.
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
                    "imports": list(self.imports),
                }
            )
            + "\n"
        )


class Worker:
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
                    raise ToldToEnd(event["message"], log=self.log)
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
        raise (ToldToEnd if -code in TOLD else StageFailed)(died, log=self.log)

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
