"""Deployments of studies, made in the test's own process, and runs of them; `xtreme-dag deploy` does the same in a child."""

from pathlib import Path
from typing import Any

from prefect.settings import PREFECT_API_URL, temporary_settings

from flows._deploy import deploy
from tests import servers


def deployed(api: str, study_file: Path, home: str, **request: Any) -> dict[str, Any]:
    """Deploys the study of a file, whose runs have one process for stages; the deployment of the whole study.

    Args:
        api: URL of the server.
        study_file: named as the study in it.
        home: beside the file.
        request: fields of the request that differ from the usual ones; the pool is by default called like the study.
    """
    usual = {"pool": study_file.stem, "cron": "", "timezone": "UTC", "retries": 0}
    with temporary_settings({PREFECT_API_URL: api}):
        deploy(
            {
                **usual,
                "study": study_file.stem,
                "study_file": str(study_file),
                "settings": {"home": str(study_file.parent / home), "workers": 1},
                "folder": str(study_file.parent),
                **request,
            }
        )
    found: dict[str, Any] = servers.get(f"{api}/deployments/name/study/{study_file.stem}").raise_for_status().json()
    return found


def asked(api: str, deployment: dict[str, Any], **body: Any) -> str:
    """Id of a new flow run of a deployment."""
    made = servers.post(f"{api}/deployments/{deployment['id']}/create_flow_run", json=body).raise_for_status()
    return str(made.json()["id"])


def state(api: str, run: str) -> dict[str, Any]:
    """The state of a flow run."""
    found: dict[str, Any] = servers.get(f"{api}/flow_runs/{run}").json()["state"]
    return found


def ended(api: str, run: str, seconds: float = 300) -> dict[str, Any]:
    """The state in which a flow run has ended, once it has."""
    final = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
    found: dict[str, Any] = servers.until(lambda: (now := state(api, run))["type"] in final and now, seconds)
    return found
