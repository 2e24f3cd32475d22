"""Puts a study's flows on a Prefect server as deployments: forms and schedules in its UI, runs by its workers."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import WorkPool
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.callables import ParameterSchema
from prefect.workers.process import ProcessWorker

from flows._automations import HEARTBEAT_SECONDS, TAG, mark_dead_runs, start_again
from flows._settings import Settings
from xtreme_dag.catalogue import own
from xtreme_dag.core.beside import BESIDE

# How often a run asks a server that is away, with twice the wait each time: 17 minutes.
_PATIENCE = 9
_STUDY = re.compile(r"^study:", re.MULTILINE)

FLOWS = (
    "study.study",
    *(f"phases.{name}" for name in ("prepare_data", "train_intermediate", "train_target", "evaluate")),
)


def deploy(request: dict[str, Any]) -> dict[str, Any]:
    """Creates or updates a deployment of each flow.

    Args:
        request: `study` (its name), `study_file` (as the workers see it), `settings`, `pool`, `cron` and `timezone` (of
            the whole study; empty for no schedule), `retries` (of a run that failed or whose machine is gone),
            `folder` (the workers' working directory).

    Returns:
        `pool`, `pool_type`, `created` (whether the pool is new) and `deployments` (names as the Prefect CLI takes them).
    """
    parameters = {"study_file": request["study_file"], **Settings(**request["settings"]).model_dump(mode="json")}
    environment = {
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
        "PREFECT_FLOWS_DEFAULT_RETRIES": str(request["retries"]),
        "PREFECT_CLIENT_MAX_RETRIES": str(_PATIENCE),
    }
    if catalogues := os.environ.get(own.VARIABLE):
        environment[own.VARIABLE] = catalogues
    found = []
    with get_client(sync_client=True) as client:
        pool, created = _pool(client, request["pool"])
        variables: dict[str, Any] = {"env": environment}
        if pool.type == "process":
            variables["working_dir"] = request["folder"]
            # Found before any `flows` or `tasks` of the folder, which is not on the path.
            environment |= {"PYTHONPATH": str(BESIDE), "PYTHONSAFEPATH": "1"}
        for entry in FLOWS:
            flow: Any = load_flow_from_entrypoint(f"flows.{entry}")
            name = f"{flow.name}/{request['study']}"
            scheduled = flow.name == "study" and request["cron"]
            deployment: RunnerDeployment = flow.to_deployment(
                name=request["study"],
                parameters=parameters,
                schedule=Cron(request["cron"], timezone=request["timezone"]) if scheduled else None,
                # No limit of runs: a server keeps its leases in memory and ends the runs that had one when it restarts.
                # Two runs of one study are harmless, the locks of the stages keep them apart.
                concurrency_limit=None,
                description=f"{flow.description}\n\nStudy: `{request['study_file']}`",
                tags=[TAG, request["study"]],
                work_pool_name=pool.name,
                job_variables=variables,
                # The workers have this package installed; they need no copy of its code.
                entrypoint_type=EntrypointType.MODULE_PATH,
            )
            # Prefect has no public way to narrow a form; tests/flows/test_deploy.py holds that this one works.
            form = _form(deployment._parameter_openapi_schema, Path(request["study_file"]))
            deployment._parameter_openapi_schema = form
            apply: Any = deployment.apply  # either a call or a coroutine by its type; here a call
            start_again(client, str(apply()), name, request["retries"])
            found.append(name)
        mark_dead_runs(client)
    return {"pool": pool.name, "pool_type": pool.type, "created": created, "deployments": found}


class _Form(ParameterSchema):
    """A form without parameters that there are not; Prefect takes them, and the run crashes."""

    additionalProperties: bool = False


def _form(schema: ParameterSchema, study_file: Path) -> _Form:
    """A flow's form that offers the studies of a folder."""
    beside = {str(path) for path in study_file.parent.glob("*.y*ml") if _STUDY.search(path.read_text(errors="replace"))}
    content = schema.model_dump()
    content["properties"]["study_file"]["enum"] = sorted({str(study_file)} | beside)
    return _Form(**content, additionalProperties=False)


def _pool(client: SyncPrefectClient, name: str) -> tuple[WorkPool, bool]:
    """The work pool, a new one of processes where there is none of this name; whether it is new."""
    try:
        return client.read_work_pool(name), False
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        return client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template)), True


def _main(request: dict[str, Any]) -> None:
    """Deploys for `xtreme-dag deploy` and writes what it did, or what went wrong, where it is asked to."""
    try:
        answer = deploy(request)
    except Exception as error:
        line = " ".join(str(error).split())[:300]
        answer = {
            "error": {"what": f"{type(error).__name__}: {line}", "where": "deploy", "fix": "see `prefect version`"}
        }
    Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
