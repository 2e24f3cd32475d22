"""What the catalogue knows of a study's languages and tasks."""

from __future__ import annotations

from dataclasses import replace

from xtreme_dag.benchmark.catalogue import load_catalogue
from xtreme_dag.benchmark.languages import languages
from xtreme_dag.results.facts import Landing, LanguageFacts, StudyFacts, TaskFacts


def described(landing: Landing) -> StudyFacts:
    """The study, with what the catalogue knows of languages and tasks that it does not describe itself."""
    study = landing.study
    told = {row.code for row in study.languages}
    codes = sorted({row.language for row in landing.evaluations} - told)
    known = languages()
    more_languages = tuple(
        LanguageFacts(
            code=code,
            name=known[code].name,
            family=known[code].family,
            script=known[code].script,
            seen_in_pretraining=known[code].in_xlmr_pretraining,
        )
        for code in codes
        if code in known
    )
    described_tasks = {row.name for row in study.tasks}
    names = sorted(({row.task for row in landing.evaluations} | set(study.targets)) - described_tasks)
    catalogue = load_catalogue()
    # A benchmark's average needs all of its tasks, so those that this study left out are named too.
    names = sorted({*names, *(task for tasks in catalogue.benchmarks.values() for task in tasks)} - described_tasks)
    more_tasks = tuple(
        TaskFacts(
            name=name,
            title=catalogue.datasets[name].title,
            group=catalogue.tasks[name].group,
            benchmarks=dict(catalogue.tasks[name].languages),
        )
        for name in names
        if name in catalogue.tasks
    )
    return replace(study, languages=study.languages + more_languages, tasks=study.tasks + more_tasks)
