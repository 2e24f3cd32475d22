"""Tokenises one canonical table."""

from __future__ import annotations

from collections.abc import Mapping

from prefect import task

from tasks._stage import run_stage


@task(name="encode")
def encode(session: str, stage: str, upstream: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Tokenises one canonical table."""
    return run_stage(session, stage, upstream)
