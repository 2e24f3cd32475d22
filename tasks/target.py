"""Target training of one task, condition and seed, in English."""

from __future__ import annotations

from collections.abc import Mapping

from prefect import task

from tasks._stage import run_stage


@task(name="target")
def target(session: str, stage: str, upstream: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Target training of one task, condition and seed, in English."""
    return run_stage(session, stage, upstream)
