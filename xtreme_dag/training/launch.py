"""Runs a training stage in several processes: torch's elastic agent starts them, each calls the same stage function."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xtreme_dag.core.context import StageContext, Stopped
from xtreme_dag.core.errors import UserError

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

_EVENTS = "events.jsonl"
_STOP, _STOPPED = "stop", "stopped"  # files: the processes are asked to stop, and they have
_POLL_SECONDS = 0.2
_PARENT_SECONDS = 2.0


def launched() -> bool:
    """Whether this process is one of several that train together."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def writes() -> bool:
    """Whether this process writes the artifact: the only one, or the first."""
    return os.environ.get("RANK", "0") == "0"


def launch(
    stage: str, processes: int, params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext
) -> Mapping[str, Any]:
    """Runs a stage of this room in `processes` processes on this machine.

    Args:
        stage: its name in `xtreme_dag.training.stages`.
        processes: how many.
        params: as given to the stage.
        inputs: as given to the stage.
        context: as given to the stage; progress of the first process is passed on. Its option `device` may name
            several GPUs, one for each process.

    Returns:
        What the first process returned.

    Raises:
        UserError: a process failed; the message is that of the first one that did.
        Stopped: the stage was asked to stop.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    scratch = context.scratch / "processes"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    device = str(context.options.get("device", "cpu"))
    job = {
        "parent": os.getpid(),
        "stage": stage,
        "params": dict(params),
        "inputs": {name: str(path) for name, path in inputs.items()},
        "out": str(context.out),
        "scratch": str(context.scratch),
        "options": {**context.options, "device": "cuda" if device.startswith("cuda") else device},
        "environment": {
            "OMP_NUM_THREADS": str(context.options.get("threads", 1)),
            **visible_devices(device, processes, os.environ.get("CUDA_VISIBLE_DEVICES")),
        },
    }
    (scratch / "job.json").write_text(json.dumps(job), encoding="utf-8")
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=str(uuid.uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=str(scratch), redirects=Std.ALL),
        signals_to_handle="SIGTERM",
    )
    over = threading.Event()
    listener = threading.Thread(target=_pass_on, args=(scratch, context, over), daemon=True)
    listener.start()
    before = signal.getsignal(signal.SIGTERM)
    try:
        elastic_launch(config, sys.executable)("-m", "xtreme_dag.training.worker", str(scratch))
    except ChildFailedError as failed:
        raise _first_failure(scratch, failed.failures) from None
    finally:
        with suppress(ValueError):  # not the main thread, where the agent left no handler
            signal.signal(signal.SIGTERM, before)
        over.set()
        listener.join()
    if (scratch / _STOPPED).is_file():
        raise Stopped((scratch / _STOPPED).read_text(encoding="utf-8"))
    returned: dict[str, Any] = json.loads((scratch / "returned.json").read_text(encoding="utf-8"))
    return returned


def visible_devices(devices: str, processes: int, visible: str | None) -> dict[str, str]:
    """The variable that shows the processes their own GPUs and no others, so that the first one's is `cuda:0`.

    Args:
        devices: names of the leased devices with commas between, `cuda:1,cuda:3`; `cuda`, `auto` and `cpu` leave
            everything visible.
        processes: how many there will be.
        visible: what CUDA_VISIBLE_DEVICES says here, to which the names refer.

    Raises:
        UserError: there are fewer devices than processes.
    """
    names = devices.split(",")
    if not names[0].startswith("cuda:"):
        return {}
    if len(names) < processes:
        raise UserError(
            f"the recipe asks for {processes} devices and was given {devices}", where="devices", fix="use device: cuda"
        )
    numbers = [int(name.removeprefix("cuda:")) for name in names]
    known = None if visible is None else visible.split(",")
    return {"CUDA_VISIBLE_DEVICES": ",".join(str(number) if known is None else known[number] for number in numbers)}


def run_process(scratch: Path, job: Mapping[str, Any], stage: Callable[..., Any]) -> None:
    """One of the processes: runs the stage, keeps its own error for the parent.

    Args:
        scratch: the folder that `launch` made.
        job: what it wrote there.
        stage: the stage function.
    """
    threading.Thread(target=_end_with, args=(int(job["parent"]),), daemon=True).start()
    rank = os.environ["RANK"]

    def listen(event: Mapping[str, Any]) -> None:
        if writes():
            with (scratch / _EVENTS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(dict(event)) + "\n")

    def stopping() -> bool:
        return writes() and (scratch / _STOP).exists()

    context = StageContext(
        out=Path(job["out"]),
        scratch=Path(job["scratch"]),
        options=job["options"],
        listen=listen,
        stopping=stopping,
    )
    inputs = {name: Path(path) for name, path in job["inputs"].items()}
    try:
        returned = stage(job["params"], inputs, context)
    except Stopped as stopped:
        if writes():
            (scratch / _STOPPED).write_text(str(stopped), encoding="utf-8")
        return
    except Exception as error:
        known = error if isinstance(error, UserError) else UserError(f"{type(error).__name__}: {error}")
        failure = {"at": time.time(), "rank": int(rank), "what": known.what, "where": known.where, "fix": known.fix}
        _failure_file(scratch, int(rank)).write_text(json.dumps(failure), encoding="utf-8")
        raise
    if writes():
        (scratch / "returned.json").write_text(json.dumps(dict(returned or {})), encoding="utf-8")


def _end_with(parent: int) -> None:
    """Ends this process when the one that launched the stage is gone: nobody is waiting for it any more."""
    while True:
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            os._exit(1)
        time.sleep(_PARENT_SECONDS)


def _failure_file(scratch: Path, rank: int) -> Path:
    """Where a process leaves its error."""
    return scratch / f"failure-{rank}.json"


def _first_failure(scratch: Path, failures: Mapping[int, ProcessFailure]) -> UserError:
    """The error of the process that failed first (the others fail because it did).

    A process that was killed cannot leave its error, and the other processes fail because they lost it: it goes first. But
    SIGTERM is how the agent ends the other processes of a failed process, and one that has left its error may still be
    ended by torch on its way out, when it finds the others gone (SIGABRT).
    """
    for rank, failure in sorted(failures.items()):
        left_words = _failure_file(scratch, rank).is_file()
        if failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM and not left_words:
            return UserError(
                f"process {rank} was killed ({failure.signal_name()})",
                where="training",
                fix="if it was for memory: lower recipe.micro_batch_tokens, or take fewer devices; started again, the "
                "stage goes on from its last checkpoint",
            )
    left = [json.loads(path.read_text(encoding="utf-8")) for path in scratch.glob("failure-*.json")]
    if left:
        first = min(left, key=lambda failure: float(failure["at"]))
        return UserError(
            f"process {first['rank']}: {first['what']}", where=first["where"] or "training", fix=first["fix"]
        )
    code = next(iter(failures.values())).exitcode
    logs = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(scratch.rglob("stderr.log"))]
    tail = [line for log in logs for line in log.strip().splitlines()[-3:]]
    return UserError(f"the processes ended with code {code}: {' / '.join(tail)}", where="training")


def _pass_on(scratch: Path, context: StageContext, over: threading.Event) -> None:
    """Passes the first process's events on, and to the processes that they shall stop, until they are over."""
    path, read = scratch / _EVENTS, 0
    while True:
        ended = over.wait(_POLL_SECONDS)
        if context.stopping():
            (scratch / _STOP).touch()
        if path.is_file():
            with path.open(encoding="utf-8") as file:
                file.seek(read)
                while (line := file.readline()).endswith("\n"):
                    context.listen(json.loads(line))
                    read = file.tell()
        if ended:
            return
