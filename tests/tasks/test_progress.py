"""A training stage's progress in Prefect, against a real server."""

import pytest
from prefect import flow, get_client, task
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    ArtifactFilterTaskRunId,
    LogFilter,
    LogFilterTaskRunId,
)
from prefect.context import TaskRunContext
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks._progress import StageProgress
from xtreme_dag.engine.graph import Stage
from xtreme_dag.wiring.kinds import TARGET

pytestmark = pytest.mark.xdist_group("prefect")
STAGE = "target[xnli | mixed | seed 1]"


def report(done, **more):
    return {"event": "progress", "done": done, "total": 40, "loss": 0.5, "tokens_per_s": 1234.5, "examples_per_s": 30.25,
            "mfu": 0.123, "memory_mb": 512.0, **more}  # fmt: skip


def line(done):
    return f"step {done} of 40, loss 0.5000, 1,234 tokens/s, 30.2 examples/s, MFU 12.3 %, 512 MB"


def watched(events, seconds, stage=STAGE):
    """What the listener heard, the task run and its log, after a task passed these events on."""
    heard, run = [], []

    @task(name="target")
    def work():
        watch = StageProgress("small", Stage(of=TARGET, name=stage, function="a:b"), heard.append, seconds=seconds)
        for event in events:
            watch(event)
        run.append(TaskRunContext.get().task_run.id)

    @flow(name="progress")
    def study():
        work()

    study()
    APILogWorker.drain_all(timeout=60)
    with get_client(sync_client=True) as client:
        lines = client.read_logs(LogFilter(task_run_id=LogFilterTaskRunId(any_=run)))
    return heard, run[0], [line.message for line in lines]


def test_a_training_stage_leaves_a_progress_artifact_and_log_lines(prefect_api):
    events = [{"event": "log", "message": "resumed at step 8 of 40"}, report(10), report(20), report(40, loss=0.25)]
    with temporary_settings({PREFECT_API_URL: prefect_api}), get_client(sync_client=True) as client:
        heard, run, lines = watched(events, 0.0)
        ours = ArtifactFilter(task_run_id=ArtifactFilterTaskRunId(any_=[run]))
        [found] = client.read_artifacts(artifact_filter=ours)
    assert heard == events
    assert (found.key, found.type, found.data) == ("small-target-xnli-mixed-seed-1", "progress", 100.0)
    last = "step 40 of 40, loss 0.2500, 1,234 tokens/s, 30.2 examples/s, MFU 12.3 %, 512 MB"
    assert found.description == f"{STAGE}: {last}"
    assert {"resumed at step 8 of 40", line(10), last} <= set(lines)


def test_a_busy_server_is_asked_seldom(prefect_api):
    events = [report(step) for step in range(1, 41)]
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        heard, _, lines = watched(events, 3600.0, "target[seldom]")
    assert heard == events
    shown = [line for line in lines if line.startswith("step")]
    assert shown == [line(1), line(40)]


def test_a_server_that_refuses_stops_nothing(prefect_api):
    """Somebody deletes the artifact while the stage runs: the stage goes on, and says once why nothing is shown."""

    def events():
        yield report(10)
        with get_client(sync_client=True) as client:
            name = ArtifactFilter(key=ArtifactFilterKey(any_=["small-target-refused"]))
            for artifact in client.read_artifacts(artifact_filter=name):
                client.delete_artifact(artifact.id)
        yield from (report(20), report(30))

    with temporary_settings({PREFECT_API_URL: prefect_api}):
        heard, _, lines = watched(events(), 0.0, "target[refused]")
    assert heard == [report(10), report(20), report(30)]
    assert sum("progress is no longer shown" in line for line in lines) == 1
