"""Zero-shot evaluation of one model, task and language."""

from __future__ import annotations

from collections.abc import Mapping

from prefect import task

from tasks._stage import run_stage


@task(name="evaluate")
def evaluate(session: str, stage: str, upstream: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Zero-shot evaluation of one model, task and language."""
    return run_stage(session, stage, upstream)
