"""Tests exact resume: a training stage that was killed and resumed must write the same bytes as one that was not."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.calls import Request
from xtreme_dag.engine.digests import file_digest, list_files
from xtreme_dag.engine.forks import Starter
from xtreme_dag.engine.pool import WorkerPool

# Checkpoints of the run that is killed: enough that a kill falls between two of them.
_CHECKPOINTS = 8


class _Enough(Exception):
    """The run has reached the step after which it is to be killed."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome of the two runs.

    Attributes:
        steps: optimizer steps of the stage.
        killed_after: the last step that each killed attempt reported.
        resumed: the log line of each later attempt that says where it resumed.
        files: name -> digest, of the unbroken run.
        differing: files that are not the same in the broken run.
    """

    steps: int
    killed_after: tuple[int, ...]
    resumed: tuple[str, ...]
    files: Mapping[str, str]
    differing: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether the broken run left the bytes of the unbroken one."""
        return not self.differing


def verify_resume(
    request: Request, folder: Path, *, kills: int = 1, seed: int = 0, say: Callable[[str], None] = lambda _: None
) -> Verdict:
    """Runs a training stage unbroken, then killed with SIGKILL at random steps and started again.

    Args:
        request: the stage: function, parameters, inputs and options; `out` and `scratch` are not used.
        folder: an empty folder for both runs, their checkpoints and logs.
        kills: how often the broken run is killed.
        seed: of the steps at which it is.
        say: receives lines of progress.

    Returns:
        The verdict.

    Raises:
        UserError: the stage reports fewer steps than kills (and one more), so there is nothing to break.
    """
    whole = _at(request, folder / "whole", {"log_steps": 1})
    # The libraries are imported once, by the process from which that of each attempt is forked.
    with closing(Starter(int(request.options.get("threads", 1)), forks=True)) as starter:
        say("running unbroken")
        steps = _run(whole, folder / "logs", starter)[0]
        if steps <= kills:
            raise UserError(f"the stage has {steps} steps, too few to be killed {kills} times", where=request.function)
        moments = sorted(random.Random(seed).sample(range(1, steps), kills))
        broken = _at(request, folder / "broken", {"log_steps": 1, "checkpoint_steps": max(1, steps // _CHECKPOINTS)})
        resumed: list[str] = []
        killed: list[int] = []
        for moment in moments:
            say(f"running, to be killed after step {moment} of {steps}")
            done, heard = _run(broken, folder / "logs", starter, until=moment)
            killed.append(done)
            resumed += heard
        say("running to the end")
        resumed += _run(broken, folder / "logs", starter)[1]
    wanted, found = ({name: file_digest(path) for name, path in list_files(run.out).items()} for run in (whole, broken))
    differing = tuple(sorted(name for name in wanted | found if wanted.get(name) != found.get(name)))
    return Verdict(steps=steps, killed_after=tuple(killed), resumed=tuple(resumed), files=wanted, differing=differing)


def _at(request: Request, folder: Path, options: Mapping[str, Any]) -> Request:
    """The request with folders of its own."""
    scratch = folder / "scratch"
    scratch.mkdir(parents=True)
    return replace(request, out=folder / "out", scratch=scratch, options={**request.options, **options}, timeout=None)


def _run(request: Request, logs: Path, starter: Starter, until: int | None = None) -> tuple[int, list[str]]:
    """One attempt in a process of its own, killed once it reports step `until`.

    Returns:
        The last step reported, and where the run said that it went on.
    """
    shutil.rmtree(request.out, ignore_errors=True)
    request.out.mkdir()
    last = 0
    resumed: list[str] = []

    def listen(event: Mapping[str, Any]) -> None:
        nonlocal last
        if event["event"] == "log" and str(event["message"]).startswith("resumed"):
            resumed.append(str(event["message"]))
        if event["event"] == "progress":
            last = int(event["done"])
            if until is not None and last >= until:
                raise _Enough

    # leaving the pool kills its process with SIGKILL
    with suppress(_Enough), WorkerPool(1, logs, starter=starter) as pool:
        pool.call(request, listen)
    return last, resumed
