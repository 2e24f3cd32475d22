"""What a manifest says of how an artifact came to be: all that must not be inside the artifact."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from xtreme_dag.engine.graph import Output, Stage

# Vector instructions, the widest first: x86, then Arm.
_VECTORS = ("amx_tile", "avx512f", "avx2", "avx", "sse4_2", "sve2", "sve", "asimd")


def manifest(
    stage: Stage,
    *,
    study: str,
    identity: Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, Any]],
    options: Mapping[str, Any],
    started: datetime,
    answer: Mapping[str, Any],
    course: Sequence[Any] = (),
) -> dict[str, Any]:
    """The manifest of a stage that has run.

    Args:
        stage: the stage.
        study: for which it ran.
        identity: what its key was made of, see `Keys.identity`.
        inputs: input -> its digest and origin, see `described`; `read`: when its bytes were hashed.
        options: what could not change the result: device, threads, limits.
        started: when.
        answer: of the worker: `figures`, `seconds`, `peak_memory_bytes`.
        course: figures of its progress, see `Course.points`; a stage that went on after a kill has those since then.
    """
    return {
        "kind": stage.kind,
        "name": stage.name,
        "study": study,
        **identity,
        "inputs": {name: dict(told) for name, told in inputs.items()},
        "options": dict(options),
        "figures": answer["figures"],
        "git_commit": git_commit(stage.function.partition(".")[0].partition(":")[0]),
        "host": platform.node(),
        "python": platform.python_version(),
        "processor": processor(),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(float(answer["seconds"]), 3),
        "peak_memory_bytes": answer["peak_memory_bytes"],
        **({"course": list(course)} if course else {}),
    }


@cache
def processor() -> str:
    """The processor and its widest vector instructions: floating-point sums, and so figures, depend on them.

    Linux names both; elsewhere the architecture has to do.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    model = told.get("model name") or platform.processor() or platform.machine()
    flags = set((told.get("flags") or told.get("Features") or "").split())
    widest = next((name for name in _VECTORS if name in flags), platform.machine())
    return " ".join(f"{model}, {widest}".split())


def maker(manifest: Mapping[str, Any]) -> str:
    """Who made an artifact, by its manifest: the machine, and its processor if that is known."""
    return f"{manifest['host']} ({manifest['processor']})" if manifest.get("processor") else str(manifest["host"])


def described(stage: Stage, digests: Mapping[str, str], parents: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Each input of a stage: its digest, and the stage, key and part or the file that it came from.

    Args:
        stage: the stage.
        digests: input -> digest of its content.
        parents: stage name -> key of the stages that it needed.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, source in stage.inputs.items():
        if isinstance(source, Output):
            origin = {"stage": source.stage, "key": parents[source.stage], "part": source.part}
        else:
            origin = {"source": source.path.name}
        found[name] = {"digest": digests[name], **origin}
    return found


@cache
def git_commit(package: str) -> str:
    """The commit of a package's checkout, with `+` when files differ from it; elsewhere what `XTREME_DAG_COMMIT` says."""
    spec = find_spec(package)
    root = Path(spec.origin).parent.parent if spec is not None and spec.origin else Path()

    def ask(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        commit = ask("rev-parse", "HEAD")
        changed = commit and ask("status", "--porcelain", "--untracked-files=no")
    except OSError:
        commit = changed = ""
    return commit + ("+" if changed else "") or os.environ.get("XTREME_DAG_COMMIT", "")
