"""Intermediate training of one condition and seed."""

from __future__ import annotations

from collections.abc import Mapping

from prefect import task

from tasks._stage import run_stage


@task(name="intermediate")
def intermediate(session: str, stage: str, upstream: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Intermediate training of one condition and seed."""
    return run_stage(session, stage, upstream)
