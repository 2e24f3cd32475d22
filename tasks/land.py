"""Lands a run's evaluations in DuckDB; idempotent, so Prefect need not cache it."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks._stage import session_of
from xtreme_dag.program.publish import land_study
from xtreme_dag.study.file import Study
from xtreme_dag.wiring.build import Built


@task(name="land", cache_policy=NO_CACHE, persist_result=False)
def land(session: str, study: Study, built: Built) -> None:
    """Lands every evaluation that a session has."""
    executor = session_of(session).executor
    land_study(executor.home, study, built, executor.known)
