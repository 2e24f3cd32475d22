"""Runs the audits of a study and nothing else of it: its tables are prepared and compared with one another."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xtreme_dag.contracts.shared import Shared, shared_in
from xtreme_dag.core.home import Home
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.ledger import FAILED
from xtreme_dag.engine.local import run_local
from xtreme_dag.engine.pool import WorkerPool
from xtreme_dag.study.file import load_study
from xtreme_dag.wiring.audit import audits
from xtreme_dag.wiring.build import build
from xtreme_dag.wiring.kinds import AUDIT

_MOST_WORKERS = 8  # each has libraries and a table in memory


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What the audits of a study found.

    Attributes:
        audits: number of audits.
        shared: what tables have in common.
        failed: stage -> why it could not run; those that a leak stopped have run.
    """

    audits: int
    shared: tuple[Shared, ...]
    failed: Mapping[str, str]


def looked_at(home: Home, study_file: Path, overrides: tuple[str, ...], listen: Callable[[str], None]) -> Looked:
    """Runs the audits of a study, and what they need; what is in the store is not run again.

    Args:
        home: where the store is.
        study_file: the study.
        overrides: `dotted.key=value` assignments.
        listen: told in words how far it is.

    Raises:
        UserError: the study cannot be built, or its data are not there.
    """
    study = load_study(study_file, overrides)
    graph = audits(build(study).graph)
    size = max(1, min(_MOST_WORKERS, len(os.sched_getaffinity(0))))

    def tell(event: Mapping[str, Any]) -> None:
        if event.get("event") == "log":
            listen(str(event["message"]))

    listen(f"{len(graph)} stages to run or to find done")
    with WorkerPool(size, home.ensure().logs) as pool:
        executor = Executor(home, study.study, pool)
        outcomes = run_local(graph, executor, side_by_side=size, listen=tell)
        executor.save()
    shared: list[Shared] = []
    failed: dict[str, str] = {}
    looked = 0
    for stage in graph:
        record = executor.store.intact(executor.known[stage.name]) if stage.name in executor.known else None
        if stage.of is AUDIT and record is not None:
            shared += shared_in(executor.store.said(record, "overlap.json"))
            looked += 1
        elif outcomes[stage.name] == FAILED:
            failed[stage.name] = executor.failure(stage)
    return Looked(audits=looked, shared=tuple(shared), failed=failed)
