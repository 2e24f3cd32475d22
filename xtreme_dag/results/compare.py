"""Compares conditions: how large a difference is, how certain, and how small a one could have been found."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.results.cells import Cells, Landed, OfTask, Side, read_landed, resolve
from xtreme_dag.results.claims import Key, judged, of_choice
from xtreme_dag.results.effects import Comparison, Effect
from xtreme_dag.results.pairing import Pair, Settings, Shown, View, measure
from xtreme_dag.results.predictions import Predictions
from xtreme_dag.results.reading import processor_lines, uneven_lines
from xtreme_dag.results.wording import sentence_of

RESAMPLES = 1000  # of results that no study file made, which has the same defaults
CONFIDENCE = 0.95


def compare_conditions(
    home: Home,
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
    clusters: bool | None = None,
) -> list[Comparison]:
    """Compares conditions with a baseline, over the tasks, languages and examples that both have.

    Paired bootstrap over examples within language; examples that several languages share (parallel test sets) are
    resampled together. Seeds enter as `inference` explains. What decides, and for which family, `claims` explains: all
    conditions, tasks and languages of the study are computed whichever are asked for, so that a verdict does not hang
    on what is shown beside it, nor on the level of the intervals. Conditions of other studies are no claims of this one:
    those that are asked for together are a family of their own.

    The means are over the languages that neither condition was trained on for the task. Where a study trains its target
    tasks in several languages, none of those counts as unseen: else the means of two comparisons would be over
    different languages (the view `transfer_average` does the same).

    Args:
        home: the folder in which all state lives.
        study: the study; may be left out if there is one only.
        baseline: the condition to compare with; the study's baseline by default. `other study/condition` reaches
            into another study.
        conditions: the conditions to compare; by default all others of the study: the one that it names, the others in
            its order, controls last.
        tasks: only these; all by default.
        languages: only these; all by default.
        split: the split.
        metric: a metric instead of each task's primary one.
        resamples: number of resamples; by default what the study file says under `compare`, or 1,000.
        confidence: level of the intervals; by default what the study file says, or 0.95.
        seed: the seed of the resampling; the same seed gives the same figures.
        clusters: whether groups of examples that hang together (questions on one paragraph) are drawn as wholes, also
            where examples can stand alone; by default what the study file says, or not. Dialogues always are.

    Raises:
        UserError: unknown names, the baseline among the conditions, nothing in common, or predictions that are gone.
    """
    return compare_landed(
        read_landed(home, study, split), Predictions(home), baseline=baseline, conditions=conditions, tasks=tasks,
        languages=languages, metric=metric, resamples=resamples, confidence=confidence, seed=seed, clusters=clusters,
    )  # fmt: skip


def compare_landed(
    landed: Landed,
    predictions: Predictions,
    *,
    baseline: str | None = None,
    conditions: Sequence[str] | None = None,
    tasks: Sequence[str] | None = None,
    languages: Sequence[str] | None = None,
    metric: str | None = None,
    resamples: int | None = None,
    confidence: float | None = None,
    seed: int = 0,
    clusters: bool | None = None,
) -> list[Comparison]:
    """What `compare_conditions` does, of a study that is read already; see there."""
    split = landed.split
    resamples = resamples or int(landed.told.get("resamples", RESAMPLES))
    confidence = confidence or float(landed.told.get("confidence", CONFIDENCE))
    name, cells, asked = landed.study, landed.cells(), landed.cells(tasks, languages)
    against = resolve(baseline or landed.baseline, name, asked)
    others = [(name, one) for one in landed.order if (name, one) != against and (name, one) in cells]
    if conditions is None:
        chosen = [side for side in others if side in asked]
    else:
        chosen = [resolve(one, name, asked) for one in conditions]
        if against in chosen:
            raise UserError(
                f"condition {against[1]!r} is the baseline itself", where=f"study {name}",
                fix="leave it out, or name another baseline",
            )  # fmt: skip
    if not chosen:
        raise UserError(f"no condition with {split} scores to compare with {against[1]!r}", where=f"study {name}")
    cells, lost = _sound(predictions, cells, against, dict.fromkeys([*chosen, *others]), (*chosen, against), tasks)
    settings = Settings(
        study=name, split=split, metric=metric, resamples=resamples, confidence=confidence, seed=seed,
        supervised=landed.supervised, tasks=tasks, languages=languages,
        clusters=bool(landed.told.get("clusters")) if clusters is None else clusters,
    )  # fmt: skip
    pairs = {
        side: measure(predictions, cells, side, against, settings, shown=side in chosen)
        for side in dict.fromkeys([*chosen, *others])
        if side in chosen or cells[side].keys() & cells[against].keys()
    }
    effects = _judged(name, pairs, lost)
    return [
        _comparison(pair, pair.view, effects[side], settings, landed)
        for side, pair in pairs.items()
        if pair.view is not None
    ]


def _judged(study: str, pairs: Mapping[Side, Pair], lost: Mapping[Side, int]) -> dict[Side, dict[Key, Effect]]:
    """The corrected effects of each pair: the study's own conditions are one family, those of other studies another."""
    found: dict[Side, dict[Key, Effect]] = {}
    for own in (True, False):
        family = {side: pair for side, pair in pairs.items() if (side[0] == study) == own}
        untested = sum(pair.untested for pair in family.values())
        untested += sum(count for side, count in lost.items() if (side[0] == study) == own)
        found |= zip(family, judged([pair.effects for pair in family.values()], untested), strict=True)
    return found


def _sound(
    predictions: Predictions,
    cells: Cells,
    against: Side,
    others: Iterable[Side],
    asked: Collection[Side],
    tasks: Sequence[str] | None,
) -> tuple[Cells, dict[Side, int]]:
    """The evaluations whose predictions are as they were recorded, and how many claims of each side are lost with the rest.

    Raises:
        UserError: predictions that are asked for are gone or damaged.
    """

    def check(part: Iterable[OfTask]) -> None:
        runs = (cell for task in part for seeds in task.values() for cell in seeds.values())
        predictions.check(cell.predictions for cell in runs)

    needed = {side: cells.get(side, {}) for side in (*others, against)}
    try:
        check(of for by_task in needed.values() for of in by_task.values())
        return cells, {}
    except UserError:
        check(needed[side][task] for side in asked for task in needed[side] if tasks is None or task in tasks)
    sound: dict[Side, dict[str, OfTask]] = {side: {} for side in needed}
    for side, by_task in needed.items():
        for task, of in by_task.items():
            with suppress(UserError):
                check([of])
                sound[side][task] = of
    common = {side: needed[side].keys() & needed[against].keys() for side in others}
    return sound, {side: len(tasks - (sound[side].keys() & sound[against].keys())) for side, tasks in common.items()}


def _comparison(
    pair: Pair, view: View, effects: Mapping[Key, Effect], settings: Settings, landed: Landed
) -> Comparison:
    """A pair with its corrected effects, in words."""

    def shown(one: Shown) -> Effect:
        return of_choice(one.effect, [effects[key] for key in one.members])

    overall = shown(view.overall)
    notes = list(view.notes)
    if landed.supervised and settings.languages is None:
        notes.append(f"the languages of supervision are left out: {' '.join(landed.supervised)}")
    notes += uneven_lines(landed.trained, pair.baseline, pair.condition)
    notes += _seed_notes(overall, pair.condition, pair.baseline)
    notes += processor_lines(landed.processors)
    comparison = Comparison(
        study=settings.study,
        condition=pair.condition,
        baseline=pair.baseline,
        split=settings.split,
        confidence=settings.confidence,
        resamples=settings.resamples,
        overall=overall,
        tasks=tuple(map(shown, view.tasks)),
        seen=tuple(map(shown, view.seen)),
        languages=tuple(effects[key] for key in view.languages),
        language_means=tuple(map(shown, view.language_means)),
        notes=tuple(notes),
        named=(pair.condition, pair.baseline) == (landed.told.get("condition"), landed.baseline),
        control=pair.condition in landed.controls,
        trained=landed.trained.get(pair.condition),
        baseline_trained=landed.trained.get(pair.baseline),
    )
    return replace(comparison, sentence=sentence_of(comparison))


def _seed_notes(overall: Effect, label: str, against: str) -> list[str]:
    """What the numbers of seeds mean for the intervals."""
    notes = []
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
