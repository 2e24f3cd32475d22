"""Holds one canonical table against its data contract."""

from __future__ import annotations

from collections.abc import Mapping

from prefect import task

from tasks._stage import run_stage


@task(name="check")
def check(session: str, stage: str, upstream: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Holds one canonical table against its data contract."""
    return run_stage(session, stage, upstream)
