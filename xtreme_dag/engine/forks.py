"""Starts worker processes, on Linux by forking them from one process that has imported their libraries.

Importing torch, transformers and Great Expectations takes seconds of a processor. Several workers that each do so pay
for it several times; forked from a process that did it once (the template), they start in milliseconds and share the
memory of what was imported. `python -m xtreme_dag.engine.forks` is the template: it takes orders from a socket and never
runs a stage itself, so that no thread and no device is in use when it forks.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import xtreme_dag
from xtreme_dag.core.processes import quick_start
from xtreme_dag.engine import worker
from xtreme_dag.engine.signatures import VARIABLE as SECRET

_CAN_FORK = sys.platform == "linux"  # elsewhere frameworks of the system do not survive a fork
_MESSAGE_BYTES = 1 << 16
# Of a worker whose template is gone: told to end through no fault of its stage, which runs again.
_LOST = -signal.SIGTERM
_QUIET = {
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
}


class Process(Protocol):
    """What is asked of a worker's process, however it was started."""

    @property
    def pid(self) -> int:
        """Its number, that of its process group and session, too."""

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it lives."""

    def wait(self, timeout: float | None = None) -> int:
        """The same once it has ended.

        Raises:
            TimeoutExpired: it has not, in time.
        """


class _Forked:
    """A process that the template forks or has forked."""

    def __init__(self) -> None:
        self._started, self._ended = threading.Event(), threading.Event()
        self._pid = self._code = 0

    @property
    def pid(self) -> int:
        self._started.wait()
        return self._pid

    def poll(self) -> int | None:
        return self._code if self._ended.is_set() else None

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("worker", timeout or 0.0)
        return self._code

    def start(self, pid: int) -> None:
        """The template has forked it."""
        self._pid = pid
        self._started.set()

    def end(self, code: int) -> None:
        """It has ended; before it was forked, if the template did."""
        self._code = code
        self._ended.set()
        self._started.set()


class _Template:
    """The template and what it has forked.

    Args:
        environment: of it and of what it forks.
        log: what it prints goes here.
    """

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "xtreme_dag.engine.forks", str(theirs.fileno())],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=dict(environment),
                start_new_session=True,
            )  # fmt: skip
        self._closed = False
        self._over = False
        self._guard = threading.Lock()
        self._asked: list[_Forked] = []
        self._living: set[_Forked] = set()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether it takes orders; a process that ends closes its socket some time before it can be waited for."""
        return not self._over and self._process.poll() is None

    def fork(self, modules: Iterable[str], streams: Sequence[int]) -> _Forked:
        """Orders a process with these modules imported and these standard streams; does not wait for it."""
        made = _Forked()
        with self._guard:
            order = {"number": len(self._asked), "modules": list(modules)}
            self._asked.append(made)
            try:
                socket.send_fds(self._orders, [json.dumps(order).encode()], streams)
            except OSError:  # it has just ended
                self._over = True
                made.end(_LOST)
        return made

    def _listen(self) -> None:
        """Hears from each process that it lives, and from the template how it has ended."""
        with suppress(OSError):
            while told := self._orders.recv(_MESSAGE_BYTES):
                event = json.loads(told)
                with self._guard:
                    one = self._asked[event["number"]]
                    if "code" in event:
                        self._living.discard(one)
                        one.end(event["code"])
                    else:
                        self._living.add(one)
                        one.start(event["pid"])
        self._over = True  # first: a stage whose worker is lost asks for another one at once
        # Nobody would say how the others end. The socket is closed once all that were forked have spoken.
        code = -signal.SIGKILL if self._closed else _LOST
        with self._guard:
            for one in self._living:
                with suppress(ProcessLookupError):
                    os.killpg(one.pid, signal.SIGKILL)
            for one in self._asked:
                if one.poll() is None:
                    one.end(code)
        self._orders.close()
        self._process.wait()

    def close(self) -> None:
        """Ends it, and all that it has forked."""
        self._closed = True
        self._process.kill()
        self._process.wait()


class Starter:
    """Starts the worker processes of a pool.

    Args:
        threads: of each.
        forks: whether several may be started, so that a template is worth its process.

    Attributes:
        forks: whether it forks them.
    """

    def __init__(self, threads: int, *, forks: bool) -> None:
        self.forks = forks and _CAN_FORK
        self._threads = threads
        self._template: _Template | None = None

    def start(self, log: Path, stdin: int, stdout: int, modules: Collection[str]) -> Process:
        """Starts a worker, in a session of its own: Ctrl-C reaches the parent, which then decides what becomes of it.

        Args:
            log: what it prints goes here.
            stdin, stdout: descriptors of its standard streams.
            modules: what it is to have imported; only a template does that beforehand.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = self._environment()
        with log.open("ab") as errors:
            if self.forks:
                if self._template is None or not self._template.alive:
                    self._template = _Template(environment, log)
                return self._template.fork(modules, (stdin, stdout, errors.fileno()))
            return subprocess.Popen(
                [sys.executable, "-m", "xtreme_dag.engine.worker"],
                stdin=stdin, stdout=stdout, stderr=errors, env=environment, start_new_session=True,
            )  # fmt: skip

    def close(self) -> None:
        """Ends the template, and all that it has forked."""
        if self._template is not None:
            self._template.close()

    def _environment(self) -> dict[str, str]:
        root = str(Path(xtreme_dag.__file__).parent.parent)
        path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
        counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(self._threads))
        environment = {name: value for name, value in os.environ.items() if name != SECRET}
        return {**environment, **_QUIET, **counts, "PYTHONPATH": path}


def _reap(orders: socket.socket, numbers: Mapping[int, int]) -> None:
    """Tells of each process that has ended; `numbers`: process -> number of its order."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            told = {"number": numbers[ended[0]], "code": os.waitstatus_to_exitcode(ended[1])}
            orders.send(json.dumps(told).encode())


def _become_worker(streams: Sequence[int]) -> None:
    """What a forked process does, instead of returning."""
    try:
        for place, stream in enumerate(streams):
            os.dup2(stream, place)
            os.close(stream)
        worker.main()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    finally:
        sys.stdout.flush()
        os._exit(0)


def main() -> None:
    """The template: forks a process for each order until the socket is closed."""
    quick_start()
    orders = socket.socket(fileno=int(sys.argv[1]))
    ended, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGCHLD, *worker.TOLD)}
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in worker.TOLD:  # a supervisor tells all processes of a run to end: the workers write checkpoints first
        signal.signal(number, signal.SIG_IGN)
    numbers: dict[int, int] = {}
    while True:
        ready: Sequence[Any] = select.select([orders.fileno(), ended], [], [])[0]
        if ended in ready:
            os.read(ended, _MESSAGE_BYTES)
            _reap(orders, numbers)
        if orders.fileno() in ready:
            order, streams, _, _ = socket.recv_fds(orders, _MESSAGE_BYTES, 3)
            if not order:
                return
            asked = json.loads(order)
            worker.load(asked["modules"])
            gc.freeze()  # a collection in a forked process would copy every page
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            if not (pid := os.fork()):
                signal.set_wakeup_fd(-1)
                for number, handler in handlers.items():
                    signal.signal(number, handler)
                os.setsid()
                # It speaks for itself: the template may be killed before it could.
                orders.send(json.dumps({"number": asked["number"], "pid": os.getpid()}).encode())
                orders.close()
                for pipe in (ended, tell):
                    os.close(pipe)
                _become_worker(streams)
            numbers[pid] = asked["number"]
            for descriptor in streams:
                os.close(descriptor)


if __name__ == "__main__":
    main()
