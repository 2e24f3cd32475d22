"""Runs a whole study: data, intermediate training, target training, evaluation, landing, report."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import State

from flows import _drive
from flows._flow import flow_of
from xtreme_dag.core.disk import told_of
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import write_atomically
from xtreme_dag.core.home import Home
from xtreme_dag.core.processes import end_with_parent

study = flow_of(
    "flows.study",
    "study",
    "Runs a whole study: data, intermediate training, target training, evaluation, landing, report.",
)


def _main(request: dict[str, Any]) -> None:
    """Runs the flow for `xtreme-dag run` and writes what it did, or the user's mistake, where it is asked to."""

    def leave(outcome: dict[str, Any]) -> None:
        """Answers and ends at once: Prefect would go on for minutes to tell a server that is gone."""
        write_atomically(Path(request["answer"]), json.dumps({**outcome, "flow_run": "", "task_runs": 0}))
        os._exit(0)

    _drive.without_server = leave
    logging.raiseExceptions = False  # Prefect's log handler writes past all settings when the server is away
    try:
        flow: Any = study  # by its type it gives nothing
        state: State[Any] = flow(request["study_file"], **request["settings"], return_state=True)
        outcome: Any = state.result(raise_on_failure=False)
        if isinstance(outcome, BaseException):
            raise outcome
        flow_run = str(state.state_details.flow_run_id)
        answer = {
            **outcome,
            "flow_run": flow_run,
            "task_runs": sum(outcome["stages"].values()),
        }
    except KeyboardInterrupt:
        sys.exit(130)  # whoever interrupted knows why
    except Exception as error:
        told = _told(error, Home.find(request["settings"]["home"]))
        answer = {"error": {"what": told.what, "where": told.where, "fix": told.fix}}
    Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")


def _told(error: Exception, home: Home) -> UserError:
    """What to tell of an error: the user's mistake, a disk's or file's, or a defect, whose traceback goes to a log."""
    if isinstance(error, UserError):
        return error
    if told := told_of(error):
        return told
    log = home.logs / "run-error.log"
    fix = f"traceback: {log}"
    try:
        log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError as unwritten:
        fix = f"{log} cannot be written: {unwritten.strerror}"
    return UserError(f"{type(error).__name__}: {error}", where="run", fix=fix)


if __name__ == "__main__":
    if not sys.stdin.readline():  # a line says that the server answers; none, that the parent is gone
        sys.exit(1)
    end_with_parent()
    _main(json.loads(sys.argv[1]))
