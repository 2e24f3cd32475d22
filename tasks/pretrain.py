"""Makes the pretrained encoder where a study has no ready one."""

from __future__ import annotations

from collections.abc import Mapping

from prefect import task

from tasks._stage import run_stage


@task(name="pretrain")
def pretrain(session: str, stage: str, upstream: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Makes the pretrained encoder where a study has no ready one."""
    return run_stage(session, stage, upstream)
