"""The study of the drills, a finished home of it, and commands in processes of their own that are quick to start."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.drills import forked
from xtreme_dag.engine.store import Store

# Every kind of stage, in seconds: pooled retrieval for `search`, a lexicon's translation for `translate`.
STUDY: Mapping[str, Any] = {
    "study": "drill",
    "question": "Does it hold?",
    "data": {"miniworld": {"seed": 7, "languages": ["en", "qaa"], "train": 24, "select": 8, "test": 8}},
    "model": {"pretrain": {"kind": "planted", "seed": 1, "steps": 2, "sentences": 20, "hidden_size": 16, "heads": 2}},
    "seeds": [1],
    "languages": ["en", "qaa"],
    "intermediate": {
        "none": {},
        "mixed": {"mixture": [{"dataset": "xnli", "languages": ["qaa"], "translated": "lexicon"}], "budget": {"examples": 10}},
    },
    "targets": ["xnli", "lareqa"],
    "recipe": {
        "name": "quick",
        "intermediate": {"default": {"epochs": 1}},
        "target": {"default": {"epochs": 1, "batch_size": 8, "examples": 16}},
    },
    "compare": {"baseline": "none", "resamples": 100},
}  # fmt: skip
KINDS = ("prepare", "check", "audit", "encode", "translate", "pretrain", "intermediate", "target", "search", "evaluate")


_WORDS = ("warning", "damaged", "again", "gone")


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command did.

    Attributes:
        code: its exit code; negative for a signal.
        out: its standard output.
        err: its standard error.
        hung: whether it had to be ended.
    """

    code: int
    out: str
    err: str
    hung: bool = False

    @property
    def disorderly(self) -> str:
        """The kind of failure that its end is ("" if it ended as a program should), whatever it did."""
        if self.hung:
            return "hangs"
        mess = "Traceback" in self.err or "this is a defect" in self.err or self.code not in (0, 1, 2, 130)
        return "tracebacks" if mess else ""

    def tells(self, usual: Said) -> bool:
        """Whether it said that something is wrong, in other lines than it has for a whole home."""
        more = set((self.err + self.out).splitlines()) - set((usual.err + usual.out).splitlines())
        return self.code != 0 or any(word in line for line in more for word in _WORDS)


def warm() -> None:
    """Imports what commands import, so that a forked process need not."""
    import duckdb
    import pyarrow.parquet

    import flows.study
    from xtreme_dag.program import cli
    from xtreme_dag.report import html

    for name in cli.COMMANDS.values():
        __import__(f"xtreme_dag.program.commands.{name[0]}")
    assert duckdb and pyarrow.parquet and flows.study
    forked.warm()
    html._vega()
    for name in html.templates().list_templates():
        html.templates().get_template(name)


def call(arguments: Sequence[str], folder: Path, seconds: float = 120.0, *, prefect: bool = True) -> Said:
    """Runs a command in a forked process; a run's flow is in that process too, or it does without Prefect."""
    out, err = folder / "said.out", folder / "said.err"
    child = os.fork()
    if not child:
        code = 1
        try:
            os.setsid()
            for number, path in ((1, out), (2, err)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
            code = _main(arguments, prefect)
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:
            traceback.print_exc(file=sys.stderr)
            sys.stderr.flush()
        finally:
            os._exit(code)
    hung = not ended(child, seconds)
    if hung:
        os.killpg(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # workers, whose own sessions end with their pipes
    return Said(code=code, out=out.read_text(errors="replace"), err=err.read_text(errors="replace"), hung=hung)


def started(arguments: Sequence[str], folder: Path, seconds: float = 120.0) -> Said:
    """Runs a command as a user does: the program in a process of its own, with its own server and workers."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    environment["PREFECT_HOME"] = str(folder / "no-profile")
    command = [sys.executable, "-m", "xtreme_dag", *arguments]
    done = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, start_new_session=True)  # fmt: skip
    try:
        out, err = done.communicate(timeout=seconds)
        return Said(code=done.returncode, out=out, err=err)
    except subprocess.TimeoutExpired:
        os.killpg(done.pid, signal.SIGKILL)
        out, err = done.communicate()
        return Said(code=done.returncode, out=out, err=err, hung=True)


def _main(arguments: Sequence[str], prefect: bool) -> int:
    from xtreme_dag.core.home import Home
    from xtreme_dag.program import cli, running
    from xtreme_dag.program.here import run_here
    from xtreme_dag.program.options import opened

    def in_this_process(
        module: str, request: Mapping[str, Any], home: Home, api: str, answers: Callable[[], None]
    ) -> dict[str, Any]:
        """`ask_flows` without the start of a process, which would be most of the time of a drill."""
        import importlib

        from xtreme_dag.core.errors import UserError

        answers()
        with tempfile.TemporaryDirectory() as elsewhere:  # the home may be full
            answer = Path(elsewhere) / "answer.json"
            importlib.import_module(module)._main({**request, "answer": str(answer)})
            outcome: dict[str, Any] = json.loads(answer.read_text())
        if "error" in outcome:
            raise UserError(outcome["error"]["what"], where=outcome["error"]["where"], fix=outcome["error"]["fix"])
        return outcome

    def without_prefect(
        module: str, request: Mapping[str, Any], home: Home, api: str, answers: Callable[[], None]
    ) -> dict[str, Any]:
        """The stages and the report, of which the flow is a wrapper that takes most of a small run's time."""
        study, built = opened(Path(request["study_file"]), tuple(request["settings"]["overrides"]))
        outcome = run_here(home, study, built, device=request["settings"]["device"])
        return {**outcome, "flow_run": "none", "task_runs": 0}

    def not_waited(api: str, flow_run: str, tasks: int) -> None:
        """What the server keeps of a run is its own; a drill looks at the home."""

    running.ask_flows, running.wait_recorded = in_this_process if prefect else without_prefect, not_waited
    forked.fork_workers()
    try:
        cli.main(list(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def ended(child: int, seconds: float) -> bool:
    """Whether a child has ended, or does so in time; it is still to be waited for."""
    end = time.monotonic() + seconds
    while not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        if time.monotonic() >= end:
            return False
        time.sleep(0.01)
    return True


def write_study(folder: Path, **changes: Any) -> Path:
    """The study's file in a folder."""
    path = folder / "drill.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps({**STUDY, **changes})), sort_keys=False))
    return path


def copied(home: Path, to: Path, *, linked: bool = False) -> Path:
    """A copy of a home, times and all, in place of what is there.

    Args:
        home: the home.
        to: where the copy goes.
        linked: share the files of the store, which the program puts in place and never writes to: `own` parts one.
    """
    shutil.rmtree(to, ignore_errors=True)
    store = str(home / "store" / "")

    def copy(source: str, target: str) -> None:
        if linked and source.startswith(store):
            os.link(source, target)
        else:
            shutil.copy2(source, target)

    shutil.copytree(home, to, symlinks=True, ignore=shutil.ignore_patterns("said.*", "*.sock"), copy_function=copy)
    return to


def own(path: Path) -> None:
    """Makes a file that copies share this copy's own, so that writing to it changes no other."""
    aside = path.with_name("aside")
    shutil.copy2(path, aside)
    aside.replace(path)


def digests(home: Path) -> dict[str, str]:
    """Stage name -> digest of its artifact, of the newest record of each."""
    records = sorted(Store(home / "store").records(), key=lambda record: record.manifest["started"])
    return {record.name: record.digest for record in records}


def repeatedly(attempt: Callable[[], bool], seconds: float) -> bool:
    """Tries until it holds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if attempt():
            return True
        time.sleep(0.02)
    return False
