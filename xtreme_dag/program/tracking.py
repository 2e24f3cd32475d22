"""Logs a study to MLflow: a run for it, and one nested in that for each of its stages. It cannot fail a run."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.core.urls import without_password
from xtreme_dag.engine.store import Store

_KIND = "mlflow:"
_AT_ONCE = 1_000  # metrics, and 100 parameters, of one request
_LONGEST = 500  # characters of a parameter that every store takes
_PAGE = 1_000
# What a server that is away may cost; MLflow itself would try for many minutes.
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
_STAGES = """
SELECT stage_key, kind, name, digest, fingerprint, git_commit, host, device, started, seconds, peak_memory_bytes, figures
FROM stages WHERE study = ? AND current ORDER BY started, stage_key"""
_CURVES = "SELECT stage_key, measure, value, optimizer_step FROM training_curves WHERE study = ? ORDER BY ALL"
_SCORES = "SELECT DISTINCT stage_key, metric, value, 0 FROM scores WHERE study = ? ORDER BY ALL"


def tracking_uri(track: str) -> str:
    """The URI in `mlflow:URI`.

    Raises:
        UserError: it is something else, or MLflow is not installed.
    """
    if not track.startswith(_KIND) or track == _KIND:
        raise UserError(f"{track!r} is not mlflow:URI", where="--track", fix="for instance mlflow:sqlite:///mlflow.db")
    if find_spec("mlflow") is None:
        raise UserError("MLflow is not installed", where="--track", fix="pip install 'xtreme-dag[mlflow]'")
    return track.removeprefix(_KIND)


def track_study(home: Home, study: str, uri: str) -> str:
    """Logs what has landed of a study and MLflow does not have; returns what went wrong, in a line, else nothing.

    Each stage becomes a run with its parameters, scores or curves by step, figures, and the digest of its artifact as a
    tag. Stages that MLflow has under the same key are left alone.

    Args:
        home: whose results.
        study: name of the study, that of the experiment.
        uri: of MLflow's server or database.
    """
    try:
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
        _log(home, study, uri)
    except Exception as error:  # whatever it is: the study's own results are complete
        lines = str(error).strip().splitlines() or [""]
        shown = without_password(uri)
        return f"MLflow {shown}: {type(error).__name__}: {lines[0].replace(uri, shown)}"
    return ""


def _log(home: Home, study: str, uri: str) -> None:
    from mlflow import MlflowClient

    from xtreme_dag.results.query import reader

    with reader(home, predictions=False) as connection:
        cursor = connection.execute(_STAGES, [study])
        names = [column[0] for column in cursor.description or ()]
        stages = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        points = connection.execute(_CURVES, [study]).fetchall() + connection.execute(_SCORES, [study]).fetchall()
        facts = connection.execute("SELECT question, baseline, seeds FROM studies WHERE study = ?", [study]).fetchall()
    if not stages:
        return
    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(study)
    experiment = found.experiment_id if found is not None else client.create_experiment(study)
    question, baseline, seeds = facts[0]
    parents = client.search_runs([experiment], filter_string=f"tags.`xtreme_dag.study` = '{study}'", max_results=1)
    if parents:
        parent = parents[0].info.run_id
    else:
        tags = {"xtreme_dag.study": study, "mlflow.note.content": question}
        parent = client.create_run(experiment, run_name=study, tags=tags).info.run_id
        client.log_batch(parent, params=_params({"baseline": baseline, "seeds": list(seeds)}))
    known = set(_logged(client, experiment, parent))
    by_stage: dict[str, list[tuple[str, float, int]]] = {}
    for key, measure, value, step in points:
        by_stage.setdefault(key, []).append((measure, value, step))
    store = Store(home.store)
    for stage in stages:
        if stage["stage_key"] not in known:
            record = store.read(stage["stage_key"])
            params = record.manifest.get("params", {}) if record is not None else {}
            _log_stage(client, experiment, parent, stage, params, by_stage.get(stage["stage_key"], []))
    client.set_terminated(parent)


def _logged(client: Any, experiment: str, parent: str) -> Iterator[str]:
    """Keys of the stages that MLflow has, whole."""
    token = None
    wanted = f"tags.`mlflow.parentRunId` = '{parent}' AND attributes.status = 'FINISHED'"
    while True:
        page = client.search_runs([experiment], filter_string=wanted, max_results=_PAGE, page_token=token)
        yield from (run.data.tags.get("xtreme_dag.key", "") for run in page)
        token = page.token
        if not token:
            return


def _log_stage(
    client: Any,
    experiment: str,
    parent: str,
    stage: Mapping[str, Any],
    params: Mapping[str, Any],
    points: list[tuple[str, float, int]],
) -> None:
    """One stage as a run of its own."""
    from mlflow.entities import Metric

    started = stage["started"].replace(tzinfo=UTC) if stage["started"] is not None else datetime.now(UTC)
    begin, end = (int(1000 * (started.timestamp() + after)) for after in (0.0, stage["seconds"]))
    tags = {
        "mlflow.parentRunId": parent,
        **{f"xtreme_dag.{name}": str(stage[name]) for name in ("kind", "digest", "fingerprint", "git_commit", "host", "device")},
        "xtreme_dag.key": stage["stage_key"],
    }  # fmt: skip
    run = client.create_run(experiment, start_time=begin, run_name=stage["name"], tags=tags).info.run_id
    figures = {name: value for name, value in json.loads(stage["figures"]).items() if _is_number(value)}
    figures |= {"seconds": stage["seconds"], "peak_memory_bytes": stage["peak_memory_bytes"]}
    points = [*points, *((f"figures/{name}", float(value), 0) for name, value in figures.items())]
    metrics = [Metric(name.replace(" ", "/"), value, end, step) for name, value, step in points if math.isfinite(value)]
    entries = _params(params)
    for place in range(0, len(entries), 100):
        client.log_batch(run, params=entries[place : place + 100])
    for place in range(0, len(metrics), _AT_ONCE):
        client.log_batch(run, metrics=metrics[place : place + _AT_ONCE])
    client.set_terminated(run, end_time=end)


def _params(values: Mapping[str, Any]) -> list[Any]:
    """Parameters as MLflow has them: flat, as texts."""
    from mlflow.entities import Param

    return [Param(name, str(value)[:_LONGEST]) for name, value in _flat(values)]


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings with dotted names; characters that MLflow has not in names become `_`."""
    for name, value in values.items():
        whole = before + "".join(letter if letter.isalnum() or letter in "_-. /" else "_" for letter in str(name))
        if isinstance(value, Mapping):
            yield from _flat(value, f"{whole}.")
        else:
            yield whole, value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
