"""The way from the program to the flows: a child process that uses Prefect, with one request and one answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from xtreme_dag.core.beside import command_of, python_path
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.program.server import QUIET


def ask_flows(
    module: str, request: Mapping[str, Any], home: Home, api: str, answers: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Runs a module of the floor above with a request and returns its answer.

    Args:
        module: runs as a program: takes the request as JSON, writes its answer to the file that `answer` in it names,
            and ends when its standard input does. A line there says that the server answers.
        request: what is asked.
        home: whose state and logs.
        api: URL of the Prefect server.
        answers: returns when the server answers; the module imports meanwhile.

    Raises:
        UserError: what the module says is wrong, it ended without an answer, or what `answers` raises.
    """
    environment = {
        **QUIET,
        # Failures are in our own words on the terminal; Prefect's logs of them are for its server.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
        "PREFECT_HOME": str(home.prefect),
        **os.environ,
        "PREFECT_API_URL": api,
        "PYTHONPATH": python_path(),
    }
    with tempfile.TemporaryDirectory(prefix="xtreme-dag-") as folder:
        answer = Path(folder) / "answer.json"
        child = subprocess.Popen(
            command_of(module, json.dumps({**request, "answer": str(answer)})),
            env=environment,
            stdin=subprocess.PIPE,
            # Its own session: an interruption reaches this process alone, from a terminal or not, and is passed on once.
            start_new_session=True,
        )
        with _all_interrupt():
            _tell(child, answers)
            try:
                child.wait()
            except KeyboardInterrupt:
                _stop(child)
                raise
        if not answer.is_file():
            raise UserError(f"ended early (exit code {child.returncode})", where=module, fix=f"logs: {home.logs}")
        outcome: dict[str, Any] = json.loads(answer.read_text())
    if "error" in outcome:
        raise UserError(outcome["error"]["what"], where=outcome["error"]["where"], fix=outcome["error"]["fix"])
    return outcome


@contextmanager
def _all_interrupt() -> Iterator[None]:
    """Makes SIGTERM (a supervisor) and SIGHUP (a closed terminal) what an interruption is; not where they are ignored."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    if threading.current_thread() is not threading.main_thread():
        before = {}  # signals are the main thread's
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(child: subprocess.Popen[bytes], answers: Callable[[], None]) -> None:
    """Tells a child when the server answers; ends it if that does not happen: it has only imported."""
    try:
        answers()
    except BaseException:
        child.kill()
        child.wait()
        raise
    assert child.stdin is not None
    with suppress(BrokenPipeError):  # it has ended, which is told by who waits for it
        child.stdin.write(b"\n")
        child.stdin.flush()


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Interrupts a child and waits for its end; interrupted again, kills it."""
    with suppress(OSError):  # the terminal may be closed
        print("\nstopping; what is done stays done (interrupt again to end at once)", file=sys.stderr)
    child.send_signal(signal.SIGINT)
    try:
        child.wait()
    except KeyboardInterrupt:
        child.kill()
        child.wait()
