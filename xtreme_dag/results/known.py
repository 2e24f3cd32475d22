"""Adds to a study's facts what the catalogue knows of its languages and tasks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from xtreme_dag.catalogue.benchmarks import official
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.catalogue.languages import languages
from xtreme_dag.catalogue.miniworld_languages import LANGUAGES
from xtreme_dag.results.facts import LanguageFacts, StudyFacts, TaskFacts
from xtreme_dag.results.landed import Landing


def described(landing: Landing) -> StudyFacts:
    """The study, with what the catalogue knows of languages and tasks that it does not describe itself."""
    study = landing.study
    codes = {row.language for row in landing.evaluations} - {row.code for row in study.languages}
    generated = "miniworld" in study.recipe.get("data", {})
    languages = _generated_languages(codes) if generated else ()
    languages += _real_languages(codes - {row.code for row in languages})
    tasks = _tasks({row.name for row in study.tasks}, {row.task for row in landing.evaluations})
    return replace(study, languages=study.languages + languages, tasks=study.tasks + tasks)


def _real_languages(codes: Collection[str]) -> tuple[LanguageFacts, ...]:
    return tuple(
        LanguageFacts(
            code=one.iso,
            name=one.name,
            family=one.family or None,
            script=one.script or None,
            seen_in_pretraining=one.in_xlmr_pretraining,
        )
        for one in languages().values()
        if one.iso in codes
    )


def _generated_languages(codes: Collection[str]) -> tuple[LanguageFacts, ...]:
    return tuple(
        LanguageFacts(code=one.code, name=one.name, family=one.family, script=one.script, kinship=one.kinship)
        for one in LANGUAGES
        if one.code in codes
    )


def _tasks(told: Collection[str], evaluated: Collection[str] = ()) -> tuple[TaskFacts, ...]:
    """All tasks of the benchmarks, whose averages need those too that a study left out, and the user's own in it."""
    catalogue = load_catalogue()
    listed = official()
    return tuple(
        TaskFacts(
            name=name,
            title=catalogue.datasets[name].title,
            group=task.group,
            benchmarks={benchmark: tasks[name] for benchmark, tasks in listed.items() if name in tasks},
        )
        for name, task in catalogue.tasks.items()
        if name not in told and (name in evaluated or not catalogue.datasets[name].root)
    )
