"""One search of a multilingual pool for the queries of all languages."""

from __future__ import annotations

from collections.abc import Mapping

from prefect import task

from tasks._stage import run_stage


@task(name="search")
def search(session: str, stage: str, upstream: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """One search of a multilingual pool for the queries of all languages."""
    return run_stage(session, stage, upstream)
