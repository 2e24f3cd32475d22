"""A study's stages without Prefect, in processes that are forked from a warm one: a kill costs a second, not twenty."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import traceback
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from xtreme_dag.core.home import Home
from xtreme_dag.engine import pool, worker
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.forks import Starter
from xtreme_dag.engine.local import run_local
from xtreme_dag.study.file import load_study
from xtreme_dag.wiring.build import build


def warm() -> None:
    """Imports what stages import."""
    import great_expectations
    import safetensors.torch
    import tokenizers
    import torch
    import transformers

    import xtreme_dag.contracts.check
    import xtreme_dag.data.prepare.prepare
    import xtreme_dag.training.stages

    torch.set_num_threads(1)
    assert great_expectations and safetensors and tokenizers and transformers and xtreme_dag


class _Process:
    """A worker that is forked from this process, with its standard streams."""

    def __init__(self, *streams: int) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if not self.pid:
            with suppress(BaseException):
                os.setsid()
                for number, end in enumerate(streams):
                    os.dup2(end, number)
                os.closerange(3, 4096)  # the pipes of other workers, which must close with the runner
                sys.stdin = os.fdopen(0)
                sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
                worker.main()
            os._exit(1)

    def poll(self) -> int | None:
        return self._wait(os.WNOHANG)

    def wait(self, timeout: float | None = None) -> int:
        end = time.monotonic() + (timeout or 0.0)
        while timeout is not None and self.poll() is None:
            if time.monotonic() >= end:
                raise subprocess.TimeoutExpired("a worker", timeout)
            time.sleep(0.01)
        code = self._wait(0)
        return 0 if code is None else code

    def _wait(self, how: int) -> int | None:
        if self.returncode is None:
            with suppress(ChildProcessError):
                ended, status = os.waitpid(self.pid, how)
                if ended:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


class _Starter(Starter):
    """Forks workers from the runner, which has all modules, instead of from a process that would import them first."""

    def start(self, log: Path, stdin: int, stdout: int, modules: Collection[str]) -> _Process:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            return _Process(stdin, stdout, errors.fileno())


def fork_workers() -> None:
    """Lets this process fork its workers itself."""
    pool.Starter = _Starter  # type: ignore[misc]  # the name is bound anew, which no type allows


def start(study: Path, home: Path, errors: Path) -> int:
    """Forks a runner of a study's stages; its process. Its exit code is 0 when all of them are done."""
    runner = os.fork()
    if runner:
        return runner
    code = 1
    try:
        os.setsid()
        os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        fork_workers()
        settings, place = load_study(study), Home(home).ensure()
        with pool.WorkerPool(2, place.logs) as workers:
            executor = Executor(place, settings.study, workers, options={"threads": 1})
            outcomes = run_local(build(settings).graph, executor)
            executor.save()
        code = 1 if {"failed", "not run"} & set(outcomes.values()) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
