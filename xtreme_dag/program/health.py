"""Whether a Prefect server is well: it answers, its scheduler makes runs, and workers take them."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from xtreme_dag.core.errors import UserError

# Prefect's scheduler looks at new schedules every 5 s and at all of them every 60 s.
_SCHEDULER_SECONDS = 120.0


def server_health(api: str) -> str:
    """What to know of a Prefect server, in a line.

    Raises:
        UserError: it does not answer, or its scheduler makes no runs.
    """
    try:
        version = _ask(f"{api}/admin/version")
        late = _count(api, {"state": {"name": {"any_": ["Late"]}}})
        idle = _without_runs(api)
    except (OSError, ValueError) as error:
        raise UserError(
            f"does not answer ({error})", where=api, fix="prefect server start, or unset PREFECT_API_URL"
        ) from None
    if idle:
        raise UserError(
            f"its scheduler makes no runs: {', '.join(sorted(idle)[:3])} should have some",
            where=api,
            fix="look into the server's log; with SQLAlchemy 2.1 every scheduler of Prefect 3.8 fails: install sqlalchemy<2.1",
        )
    words = f"{api}, version {version}"
    return f"{words}, {late} runs are late: is a worker running?" if late else f"{words}, no run is late"


def _without_runs(api: str) -> set[str]:
    """Names of deployments that have had an active schedule for a while and no scheduled run."""
    found = _ask(f"{api}/deployments/filter", {"deployments": {"paused": {"eq_": False}}})
    names: dict[str, str] = {}
    for row in found:
        changed = [datetime.fromisoformat(each["updated"]) for each in row["schedules"] if each["active"]]
        if changed and (datetime.now(UTC) - max(changed)).total_seconds() > _SCHEDULER_SECONDS:
            names[row["id"]] = row["name"]
    scheduled = {"state": {"type": {"any_": ["SCHEDULED"]}}}
    return {name for key, name in names.items() if not _count(api, {**scheduled, "deployment_id": {"any_": [key]}})}


def _count(api: str, flow_runs: Mapping[str, Any]) -> int:
    return int(_ask(f"{api}/flow_runs/count", {"flow_runs": flow_runs}))


def _ask(url: str, question: Mapping[str, Any] | None = None) -> Any:
    body = None if question is None else json.dumps(question).encode()
    request = urllib.request.Request(url, data=body, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())
