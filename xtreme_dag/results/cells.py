"""What there is to compare: the landed evaluations of conditions, by task, language and seed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.home import Home
from xtreme_dag.results.draws import SIDES
from xtreme_dag.results.pairs import Run
from xtreme_dag.results.query import reader
from xtreme_dag.results.reading import Trained, read_processors, read_trained

SEEN = ("source", "same task")
"""The supervision that makes a language no longer zero-shot for a task."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One evaluation.

    Attributes:
        metric: its primary metric.
        predictions: the predictions file, relative to the home if inside it.
        supervision: what the model was trained on in the language; None if unknown.
        warnings: names of the signals of the stages that it depends on, see `signals`.
    """

    metric: str
    predictions: str
    supervision: str | None
    warnings: tuple[str, ...] = ()


Side = tuple[str, str]
"""A study and a condition."""
OfTask = Mapping[str, Mapping[int, Cell]]
"""Language -> seed -> evaluation."""
Cells = Mapping[Side, Mapping[str, OfTask]]
"""Side -> task -> language -> seed -> evaluation."""


@dataclass(frozen=True, kw_only=True)
class Landed:
    """What has landed of a split, and what its study says of comparing.

    Attributes:
        study: the study.
        split: the split.
        baseline: the study's baseline.
        told: what the study file says under `compare`.
        order: the study's conditions: the one that it names for comparison, the others in its order, controls last.
        controls: the conditions that are controls.
        supervised: languages that are no zero-shot ones for any condition, where the study has several source languages.
        rows: study, condition, task, language, seed, metric, predictions, supervision and warnings of each evaluation.
        trained: what the intermediate training of each condition drew; empty if it is not known.
        processors: processor -> number of trainings that ran on it, and on no other device.
    """

    study: str
    split: str
    baseline: str
    told: Mapping[str, Any]
    order: tuple[str, ...]
    controls: frozenset[str]
    supervised: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    trained: Mapping[str, Trained] = field(default_factory=dict)
    processors: Mapping[str, int] = field(default_factory=dict)

    def cells(self, tasks: Sequence[str] | None = None, languages: Sequence[str] | None = None) -> Cells:
        """The evaluations, those of some tasks and languages alone if they are given."""
        cells: dict[Side, dict[str, dict[str, dict[int, Cell]]]] = {}
        for study, condition, task, language, seed, metric, path, supervision, warnings in self.rows:
            if (tasks is None or task in tasks) and (languages is None or language in languages):
                by_task = cells.setdefault((study, condition), {})
                cell = Cell(metric=metric, predictions=path, supervision=supervision, warnings=tuple(warnings or ()))
                by_task.setdefault(task, {}).setdefault(language, {})[seed] = cell
        return cells


def read_landed(home: Home, study: str | None, split: str) -> Landed:
    """Reads what has landed of a split.

    Raises:
        UserError: no such study, or several and none is named.
    """
    with reader(home, predictions=False) as connection:
        studies = connection.execute("SELECT study, baseline, recipe FROM studies ORDER BY study").fetchall()
        name, baseline, recipe = _choose_study(studies, study)
        rows = connection.execute(
            "SELECT study, condition, task, language, seed, e.metric, predictions, any_value(supervision), warnings"
            " FROM evaluations e LEFT JOIN scores s USING (study, condition, task, language, split, seed)"
            " LEFT JOIN (SELECT study, condition, task, language, split, seed, list(DISTINCT warning) AS warnings"
            " FROM evaluation_warnings GROUP BY ALL) w USING (study, condition, task, language, split, seed)"
            " WHERE split = ? GROUP BY ALL ORDER BY ALL",
            [split],
        ).fetchall()
        described = connection.execute(
            "SELECT condition, description FROM conditions WHERE study = ? ORDER BY position", [name]
        ).fetchall()
        sources = [
            row[0]
            for row in connection.execute(
                "SELECT DISTINCT source_language FROM source_languages WHERE study = ? ORDER BY ALL", [name]
            ).fetchall()
        ]
        trained, processors = read_trained(connection, name), read_processors(connection, name)
    told = json.loads(recipe).get("compare", {})
    controls = frozenset(condition for condition, text in described if is_control(json.loads(text)))
    order = sorted(
        (condition for condition, _ in described), key=lambda one: (one != told.get("condition"), one in controls)
    )
    others = {row[3] for row in rows if row[0] == name} - set(sources)
    return Landed(
        study=name,
        split=split,
        baseline=baseline,
        told=told,
        order=tuple(order),
        controls=controls,
        supervised=tuple(sources) if len(sources) > 1 and others else (),
        rows=rows,
        trained=trained,
        processors=processors,
    )


def is_control(condition: Mapping[str, Any]) -> bool:
    """Whether a condition is a control, by its description."""
    return any(step.get("control") for step in (condition, *condition.get("then", ())))


def _choose_study(studies: Sequence[tuple[str, str, str]], wanted: str | None) -> tuple[str, str, str]:
    known = {study[0]: study for study in studies}
    if wanted is None and len(known) == 1:
        return studies[0]
    if wanted is None:
        raise UserError(f"which of {len(known)} studies?", where="--study", fix="one of: " + ", ".join(known))
    if wanted not in known:
        raise UserError(f"no study {wanted!r} has landed", where="--study", fix=nearest(wanted, known))
    return known[wanted]


def resolve(name: str, study: str, cells: Cells) -> Side:
    """The side that a name stands for: a condition of the study, or `other study/condition`.

    Raises:
        UserError: there is none with scores.
    """
    if (study, name) in cells:
        return study, name
    for side in cells:
        if "/".join(side) == name:
            return side
    valid = [condition for of, condition in cells if of == study]
    raise UserError(f"no condition {name!r} with scores", where=f"study {study}", fix=nearest(name, valid))


def common_files(
    one: OfTask,
    other: OfTask,
    task: str,
    notes: list[str],
) -> dict[str, dict[Run, str]]:
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
            (name, seed): side[language][seed].predictions
            for name, side, common in zip(SIDES, (one, other), seeds, strict=True)
            for seed in sorted(common)
        }
        for language in languages
    }


def _listed(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(seeds)))
