"""Writes the study's HTML report and shows it in short; a function of the database, so Prefect need not cache it."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks._artifacts import show_report
from tasks._stage import session_of
from xtreme_dag.program.publish import write_study_report
from xtreme_dag.study.file import Study


@task(name="report", cache_policy=NO_CACHE, persist_result=False)
def report(session: str, study: Study) -> list[str]:
    """Writes the report and returns what the study answers, in sentences."""
    path, short = write_study_report(session_of(session).executor.home, study)
    show_report(study.study, short, str(path))
    return short.answer
