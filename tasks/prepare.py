"""Raw files of one dataset, language and split -> a canonical table."""

from __future__ import annotations

from collections.abc import Mapping

from prefect import task

from tasks._stage import run_stage


@task(name="prepare")
def prepare(session: str, stage: str, upstream: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Raw files of one dataset, language and split -> a canonical table."""
    return run_stage(session, stage, upstream)
