"""Comparing conditions: how large is the difference, how sure is it, and what could have been seen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.results.draws import SIDES, Draws, draw, mean_of
from xtreme_dag.results.effects import Comparison, Effect, corrected, effect_of
from xtreme_dag.results.pairs import Run, columns_in, find_metric, read_leaves
from xtreme_dag.results.predictions import check_predictions
from xtreme_dag.results.query import reader
from xtreme_dag.results.wording import sentence_of

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

RESAMPLES = 2000
CONFIDENCE = 0.95


def compare_conditions(
    home: Path,
    *,
    study: str | None = None,
    baseline: str | None = None,
    conditions: Sequence[str] | None = None,
    tasks: Sequence[str] | None = None,
    languages: Sequence[str] | None = None,
    split: str = "test",
    metric: str | None = None,
    resamples: int | None = None,
    confidence: float | None = None,
    seed: int = 0,
) -> list[Comparison]:
    """Compares conditions with a baseline, over the tasks, languages and examples that both have.

    Paired bootstrap over examples within language; examples that several languages share (parallel test sets) are
    resampled together. Seeds enter as `inference` explains. Holm over the languages of a task and over the tasks.

    Where a study trains its target tasks in several languages, those are left out: else the averages of two conditions
    would each count another language of supervision as transfer (the view `transfer_average` does the same).

    Args:
        home: the folder in which all state lives.
        study: the study; may be left out if there is one only.
        baseline: the condition to compare with; the study's baseline by default. `other study/condition` reaches
            into another study.
        conditions: the conditions to compare; all others of the study by default.
        tasks: only these; all by default.
        languages: only these; all by default, but those of supervision where a study has several.
        split: the split.
        metric: a metric instead of each task's primary one.
        resamples: number of resamples; by default what the study file says under `compare`, or 2,000.
        confidence: level of the intervals; by default what the study file says, or 0.95.
        seed: the seed of the resampling; the same seed gives the same figures.

    Raises:
        UserError: unknown names, nothing in common, or predictions that are gone.
    """
    root = Path(home)
    with reader(root, predictions=False) as connection:
        studies = connection.execute("SELECT study, baseline, recipe FROM studies ORDER BY study").fetchall()
        name, default, recipe = _choose_study(studies, study)
        rows = connection.execute(
            "SELECT study, condition, task, language, seed, metric, predictions FROM evaluations"
            " WHERE split = ? ORDER BY ALL",
            [split],
        ).fetchall()
        order = [
            row[0]
            for row in connection.execute(
                "SELECT condition FROM conditions WHERE study = ? ORDER BY position", [name]
            ).fetchall()
        ]
        sources = _sources(connection, name)
    told = json.loads(recipe).get("compare", {})
    resamples = resamples or int(told.get("resamples", RESAMPLES))
    confidence = confidence or float(told.get("confidence", CONFIDENCE))
    others = {row[3] for row in rows if row[0] == name} - set(sources)
    left_out = sources if languages is None and len(sources) > 1 and others else ()
    cells = _index([row for row in rows if row[3] not in left_out], tasks, languages)
    against = _resolve(baseline or default, name, cells)
    chosen = (
        [_resolve(one, name, cells) for one in conditions]
        if conditions is not None
        else [(name, one) for one in order if (name, one) != against and (name, one) in cells]
    )
    if not chosen:
        raise UserError(f"no condition with {split} scores to compare with {against[1]!r}", where=f"study {name}")
    used = (cell for side in (*chosen, against) for task in cells.get(side, {}).values() for cell in task.values())
    check_predictions(root, (root / path for runs in used for _metric, path in runs.values()))
    settings = _Settings(
        study=name, split=split, metric=metric, resamples=resamples, confidence=confidence, seed=seed, left_out=left_out
    )
    kept: dict[tuple[Path, str], pa.Table] = {}
    return [_compare(root, cells, one, against, settings, kept if len(chosen) > 1 else None) for one in chosen]


@dataclass(frozen=True, kw_only=True)
class _Settings:
    """What all comparisons of one call share; see `compare_conditions`."""

    study: str
    split: str
    metric: str | None
    resamples: int
    confidence: float
    seed: int
    left_out: tuple[str, ...]


Side = tuple[str, str]
"""A study and a condition."""
Cells = Mapping[Side, Mapping[str, Mapping[str, Mapping[int, tuple[str, str]]]]]
"""Side -> task -> language -> seed -> (primary metric, predictions file)."""


def _choose_study(studies: Sequence[tuple[str, str, str]], wanted: str | None) -> tuple[str, str, str]:
    known = {study[0]: study for study in studies}
    if wanted is None and len(known) == 1:
        return studies[0]
    if wanted is None:
        raise UserError(f"which of {len(known)} studies?", where="--study", fix="one of: " + ", ".join(known))
    if wanted not in known:
        raise UserError(f"no study {wanted!r} has landed", where="--study", fix=nearest(wanted, known))
    return known[wanted]


def _sources(connection: duckdb.DuckDBPyConnection, study: str) -> tuple[str, ...]:
    """The languages that the conditions of a study train their target tasks in."""
    rows = connection.execute(
        "SELECT DISTINCT source_language FROM source_languages WHERE study = ? ORDER BY ALL", [study]
    ).fetchall()
    return tuple(row[0] for row in rows)


def _index(rows: Iterable[tuple[Any, ...]], tasks: Sequence[str] | None, languages: Sequence[str] | None) -> Cells:
    cells: dict[Side, dict[str, dict[str, dict[int, tuple[str, str]]]]] = {}
    for study, condition, task, language, seed, metric, path in rows:
        if (tasks is None or task in tasks) and (languages is None or language in languages):
            by_task = cells.setdefault((study, condition), {})
            by_task.setdefault(task, {}).setdefault(language, {})[seed] = (metric, path)
    return cells


def _resolve(name: str, study: str, cells: Cells) -> Side:
    if (study, name) in cells:
        return study, name
    for side in cells:
        if "/".join(side) == name:
            return side
    valid = [condition for of, condition in cells if of == study]
    raise UserError(f"no condition {name!r} with scores", where=f"study {study}", fix=nearest(name, valid))


def _compare(
    root: Path,
    cells: Cells,
    one: Side,
    other: Side,
    settings: _Settings,
    kept: dict[tuple[Path, str], pa.Table] | None,
) -> Comparison:
    label, against = (name if study == settings.study else f"{study}/{name}" for study, name in (one, other))
    confidence = settings.confidence
    notes: list[str] = []
    by_task: dict[str, tuple[str, dict[str, Draws]]] = {}
    for task in sorted(cells[one].keys() & cells[other].keys()):
        paths = _common_files(root, cells[one][task], cells[other][task], task, notes)
        if not paths:
            continue
        name = settings.metric or next(iter(next(iter(cells[one][task].values())).values()))[0]
        columns = columns_in(next(iter(next(iter(paths.values())).values())))
        listed = load_catalogue().tasks.get(task)
        measure = find_metric(name, columns, task, listed.metrics if listed else ())
        leaves = read_leaves(paths, measure, kept)
        if len(leaves) < len(paths):
            notes.append(f"{task}: {len(paths) - len(leaves)} languages have no example with a known outcome in common")
        if not leaves:
            continue
        draws = draw(leaves, measure, resamples=settings.resamples, seed=settings.seed, task=task)
        by_task[task] = (name, draws)
        dropped = sum(one.dropped for one in draws.values())
        if dropped:
            notes.append(f"{task}: {dropped:,} examples that not every run has are left out")
    if not by_task:
        raise UserError(
            f"{label!r} and {against!r} have no task and language in common", where=f"{settings.split} scores"
        )
    means = {task: mean_of(list(draws.values())) for task, (_, draws) in by_task.items()}
    task_effects = corrected(
        [
            effect_of(means[task], task=task, language=None, metric=name, confidence=confidence)
            for task, (name, _) in by_task.items()
        ]
    )
    language_effects = [
        effect
        for task, (name, draws) in by_task.items()
        for effect in corrected(
            [
                effect_of(one, task=task, language=language, metric=name, confidence=confidence)
                for language, one in draws.items()
            ]
        )
    ]
    overall = effect_of(mean_of(list(means.values())), task=None, language=None, metric="mean", confidence=confidence)
    if settings.left_out:
        notes.append(f"the languages of supervision are left out: {' '.join(settings.left_out)}")
    notes += _seed_notes(means, overall, label, against)
    comparison = Comparison(
        study=settings.study,
        condition=label,
        baseline=against,
        split=settings.split,
        confidence=confidence,
        resamples=settings.resamples,
        overall=overall,
        tasks=tuple(task_effects),
        languages=tuple(language_effects),
        notes=tuple(notes),
    )
    return replace(comparison, sentence=sentence_of(comparison))


def _seed_notes(means: Mapping[str, Draws], overall: Effect, label: str, against: str) -> list[str]:
    """What the numbers of seeds mean for the intervals."""
    notes = []
    if len({one.seeds for one in means.values()}) > 1:
        notes.append("the tasks have different seeds; their mean is over those that all have")
    numbers = {label: overall.seeds, against: overall.baseline_seeds}
    if set(numbers.values()) == {1}:
        notes.append("one seed: the intervals hold for these trained models, not for other seeds")
    else:
        notes += [
            f"one seed of {name}: the intervals hold for this model of it, not for other seeds"
            for name, number in numbers.items()
            if number == 1
        ]
    if 2 in numbers.values():
        notes.append(
            "two seeds: two runs say little of how far runs differ, so intervals can be wide; three are better"
        )
    return notes


def _common_files(
    root: Path,
    one: Mapping[str, Mapping[int, tuple[str, str]]],
    other: Mapping[str, Mapping[int, tuple[str, str]]],
    task: str,
    notes: list[str],
) -> dict[str, dict[Run, Path]]:
    """Language -> run -> file, for the languages that both sides have and the seeds that a side has in all of them."""
    languages = sorted(one.keys() & other.keys())
    if one.keys() != other.keys():
        notes.append(f"{task}: not every language has both sides; {len(languages)} are compared")
    if not languages:
        return {}
    seeds = [set.intersection(*(set(side[language]) for language in languages)) for side in (one, other)]
    if any(
        set(side[language]) != common
        for side, common in zip((one, other), seeds, strict=True)
        for language in languages
    ):
        notes.append(f"{task}: seeds that a side has not in every language are left out")
    if not all(seeds):
        return {}
    if seeds[0] != seeds[1]:
        notes.append(f"{task}: seeds {_listed(seeds[0])} against seeds {_listed(seeds[1])}")
    return {
        language: {
            (name, seed): root / side[language][seed][1]
            for name, side, common in zip(SIDES, (one, other), seeds, strict=True)
            for seed in sorted(common)
        }
        for language in languages
    }


def _listed(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(seeds)))
