"""One condition against the baseline: the effects of all its claims and languages, and of the means that are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from xtreme_dag.core.errors import UserError
from xtreme_dag.results.cells import SEEN, Cell, Cells, OfTask, Side, common_files
from xtreme_dag.results.claims import Effects, Key
from xtreme_dag.results.draws import Draws, degenerate, draw, mean_of
from xtreme_dag.results.effects import Effect, Part, effect_of
from xtreme_dag.results.pairs import Leaf, added_metrics, cluster_column, find_metric, read_leaves
from xtreme_dag.results.predictions import Predictions
from xtreme_dag.results.signals import DEGENERATE

_OTHER_SEEDS = "the tasks have different seeds; their mean is over those that all have"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all comparisons of one call share; see `compare_conditions`.

    Attributes:
        supervised: languages that count as seen whatever the condition.
        tasks, languages: those that are shown; None for all.
        clusters: whether groups of examples are drawn as wholes too that are not always (questions on a paragraph).
    """

    study: str
    split: str
    metric: str | None
    resamples: int
    confidence: float
    seed: int
    supervised: Collection[str]
    tasks: Collection[str] | None
    languages: Collection[str] | None
    clusters: bool = False


@dataclass(frozen=True, kw_only=True)
class Shown:
    """An effect that is shown, and the effects that it is the mean of; a single one is the effect itself."""

    effect: Effect
    members: Sequence[Key]


@dataclass(frozen=True, kw_only=True)
class View:
    """What is shown of a pair.

    Attributes:
        tasks, seen, overall: one effect for each task, the same over seen languages, and the mean over tasks.
        languages: the languages that are shown.
        language_means: one effect for each language, its mean over the tasks that are shown, where they are several.
        notes: what a reader must know.
    """

    tasks: Sequence[Shown]
    seen: Sequence[Shown]
    overall: Shown
    languages: Sequence[Key]
    language_means: Sequence[Shown]
    notes: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A condition and the baseline.

    Attributes:
        condition, baseline: their names; `other study/condition` for one of another study.
        effects: all claims, uncorrected, and the languages of a pair that is shown.
        untested: the study's claims that could not be computed.
        view: what is shown of it; None where it is computed for its part in the families alone.
    """

    condition: str
    baseline: str
    effects: Effects
    untested: int
    view: View | None


@dataclass(kw_only=True)
class _Task:
    """One task: its metric, and the figures and supervision of each language."""

    name: str
    metric: str
    draws: Mapping[str, Draws]
    words: Mapping[str, tuple[str | None, str | None]]
    supervised: Collection[str]
    means: dict[bool, Draws] = field(default_factory=dict)

    def languages(self, seen: bool) -> list[str]:
        """Those that a side was trained on for the task, or the others."""
        return [code for code in self.draws if self.is_seen(code) == seen]

    def is_seen(self, language: str) -> bool:
        return language in self.supervised or any(word in SEEN for word in self.words[language])

    def part(self, seen: bool) -> Part:
        known = self.supervised or any(word for pair in self.words.values() for word in pair)
        return "seen" if seen else "unseen" if known else "all"


def measure(predictions: Predictions, cells: Cells, one: Side, other: Side, settings: Settings, *, shown: bool) -> Pair:
    """Computes a pair.

    Args:
        predictions: reads them.
        cells: everything that has landed of the split.
        one, other: condition and baseline.
        settings: of the call.
        shown: whether it is shown; if not, it is computed for its part in the families alone.

    Raises:
        UserError: it is shown, and its predictions are gone or nothing is in common.
    """
    label, against = (name if study == settings.study else f"{study}/{name}" for study, name in (one, other))
    notes: list[str] = []
    tasks, untested = [], 0
    for name in sorted(cells[one].keys() & cells[other].keys()):
        asked = shown and (settings.tasks is None or name in settings.tasks)
        said: list[str] = []
        try:
            task = measure_task(predictions, name, cells[one][name], cells[other][name], settings, said)
        except UserError:
            if asked:
                raise
            untested += settings.metric is None  # else the task may not have that metric
            continue
        if task is not None:
            tasks.append(task)
            notes += said if asked else []
    effects = dict(_effects(tasks, settings.confidence, languages=shown))
    for side, side_name in ((one, label), (other, against)) if shown else ():
        compared = {
            task.name: cells[side][task.name] for task in tasks if settings.tasks is None or task.name in settings.tasks
        }
        notes += _warnings(compared, side_name)
    view = _view(tasks, label, against, settings, notes) if shown else None
    return Pair(condition=label, baseline=against, effects=effects, untested=untested, view=view)


def _view(tasks: Sequence[_Task], label: str, against: str, settings: Settings, notes: Sequence[str]) -> View:
    """What is shown of a pair, its means over the tasks and languages that are asked for."""
    level = settings.confidence
    chosen = [(task, _asked(task, settings)) for task in tasks if settings.tasks is None or task.name in settings.tasks]
    parts = {
        seen: [_mean(task, seen, codes, level) for task, codes in chosen if _of(task, codes, seen)]
        for seen in (False, True)
    }
    if not any(parts.values()):
        raise UserError(
            f"{label!r} and {against!r} have no task and language in common", where=f"{settings.split} scores"
        )
    whole = {seen: sum(bool(task.languages(seen)) for task in tasks) for seen in parts}
    means = {seen: _over_tasks(found, seen, whole[seen], level) for seen, found in parts.items() if found}
    return View(
        tasks=[one for one, _ in parts[False]],
        seen=[one for one, _ in parts[True]] + ([means[True]] if len(parts[True]) > 1 else []),
        overall=means[False] if False in means else means[True],
        languages=[Key(task.name, task.is_seen(code), code) for task, codes in chosen for code in codes],
        language_means=_language_means(chosen, level) if len(chosen) > 1 else [],
        notes=[
            *notes,
            *_trained_notes([task for task, _ in chosen], label, against),
            *([_OTHER_SEEDS] if len({draws.seeds for _, draws in parts[False] or parts[True]}) > 1 else []),
        ],
    )


def measure_task(
    predictions: Predictions, name: str, one: OfTask, other: OfTask, settings: Settings, notes: list[str]
) -> _Task | None:
    """The figures of a task on both sides; None if they have no language, seed or example in common."""
    paths = common_files(one, other, name, notes)
    if not paths:
        return None
    metric = settings.metric or next(iter(next(iter(one.values())).values())).metric
    columns = predictions.columns(next(iter(next(iter(paths.values())).values())))
    measure = find_metric(metric, columns, name, added_metrics(name))
    cluster = cluster_column(predictions, paths, settings.clusters)
    leaves = read_leaves(paths, measure, predictions, cluster)
    if len(leaves) < len(paths):
        notes.append(f"{name}: {len(paths) - len(leaves)} languages have no example with a known outcome in common")
    if not leaves:
        return None
    draws = draw(leaves, measure, resamples=settings.resamples, seed=settings.seed, task=name)
    if dropped := sum(each.dropped for each in draws.values()):
        notes.append(f"{name}: {dropped:,} examples that not every run has are left out")
    if cluster:
        notes.append(f"{name}: {_groups(leaves):,} groups of examples that hang together are drawn as wholes")
    draws = {
        code: replace(figures, degenerate=_degenerate(((one[code], "condition"), (other[code], "baseline"))))
        for code, figures in draws.items()
    }
    words = {code: (_word(one[code]), _word(other[code])) for code in draws}
    return _Task(name=name, metric=metric, draws=draws, words=words, supervised=settings.supervised)


def _groups(leaves: Iterable[Leaf]) -> int:
    """Number of groups that are drawn; those that several languages share are drawn for all of them at once."""
    return len({one for leaf in leaves if leaf.cluster is not None for one in leaf.cluster.unique().to_pylist()})


def _degenerate(sides: Iterable[tuple[Mapping[int, Cell], str]]) -> tuple[tuple[str, str], ...]:
    """Why each side is degenerate in a language, over its seeds."""
    return tuple(
        one
        for cells, side in sides
        for one in degenerate([[(side, why) for why in cell.warnings if why in DEGENERATE] for cell in cells.values()])
    )


def _warnings(tasks: Mapping[str, OfTask], name: str) -> Iterator[str]:
    """What the stages behind a side's figures warn of: for each task the number of its languages."""
    for task, of in sorted(tasks.items()):
        found = Counter(
            why for seeds in of.values() for why in {why for cell in seeds.values() for why in cell.warnings}
        )
        for why, count in sorted(found.items()):
            yield f"warning: {name} on {task}: {why} in {count} of {len(of)} languages"


def _word(cells: Mapping[int, Cell]) -> str | None:
    return next((cell.supervision for cell in cells.values() if cell.supervision), None)


def _effects(tasks: Sequence[_Task], confidence: float, *, languages: bool) -> Iterator[tuple[Key, Effect]]:
    """All claims of a pair, and its languages if they are asked for; leaves each task's means behind."""
    for seen in (False, True):
        having = [task for task in tasks if task.languages(seen)]
        for task in having:
            codes = task.languages(seen)
            task.means[seen] = mean_of([task.draws[code] for code in codes])
            of = partial(effect_of, task=task.name, metric=task.metric, confidence=confidence, part=task.part(seen))
            yield Key(task.name, seen), of(task.means[seen], language=None)
            for code in codes if languages else ():
                yield Key(task.name, seen, code), of(task.draws[code], language=code, supervision=task.words[code])
        if having:
            mean = mean_of([task.means[seen] for task in having])
            part = _common_part([task.part(seen) for task in having])
            yield (
                Key(None, seen),
                effect_of(mean, task=None, language=None, metric="mean", confidence=confidence, part=part),
            )


def _asked(task: _Task, settings: Settings) -> list[str]:
    return [code for code in task.draws if settings.languages is None or code in settings.languages]


def _of(task: _Task, codes: Sequence[str], seen: bool) -> list[str]:
    return [code for code in codes if task.is_seen(code) == seen]


def _mean(task: _Task, seen: bool, codes: Sequence[str], confidence: float) -> tuple[Shown, Draws]:
    """A task's mean over the shown languages of a part."""
    own = _of(task, codes, seen)
    all_of_them = own == task.languages(seen)
    draws = task.means[seen] if all_of_them else mean_of([task.draws[code] for code in own])
    members = [Key(task.name, seen)] if all_of_them else [Key(task.name, seen, code) for code in own]
    effect = effect_of(
        draws, task=task.name, language=None, metric=task.metric, confidence=confidence, part=task.part(seen)
    )
    return Shown(effect=effect, members=members), draws


def _over_tasks(found: Sequence[tuple[Shown, Draws]], seen: bool, tasks: int, confidence: float) -> Shown:
    """The mean over the shown tasks; `tasks` is how many the study has."""
    members = [key for shown, _ in found for key in shown.members]
    if len(found) == tasks and all(key.language is None for key in members):
        members = [Key(None, seen)]
    part = _common_part([shown.effect.part for shown, _ in found])
    mean = mean_of([draws for _, draws in found])
    effect = effect_of(mean, task=None, language=None, metric="mean", confidence=confidence, part=part)
    return Shown(effect=effect, members=members)


def _language_means(chosen: Sequence[tuple[_Task, list[str]]], confidence: float) -> list[Shown]:
    """The mean over the tasks of each language."""
    found = []
    for code in dict.fromkeys(code for _, codes in chosen for code in codes):
        tasks = [task for task, codes in chosen if code in codes]
        part: Part = (
            "seen" if any(task.is_seen(code) for task in tasks) else _common_part([task.part(False) for task in tasks])
        )
        mean = mean_of([task.draws[code] for task in tasks])
        effect = effect_of(mean, task=None, language=code, metric="mean", confidence=confidence, part=part)
        found.append(Shown(effect=effect, members=[Key(task.name, task.is_seen(code), code) for task in tasks]))
    return found


def _common_part(parts: Sequence[Part]) -> Part:
    return "unseen" if "unseen" in parts else parts[0]


def _trained_notes(tasks: Sequence[_Task], label: str, against: str) -> Iterator[str]:
    """What is not known of training, and the tasks on which there is no zero-shot answer."""
    for place, name in enumerate((label, against)):
        words = [pair for task in tasks for pair in task.words.values()]
        if any(pair[1 - place] and not pair[place] for pair in words):
            yield f"what {name} was trained on is not known: the languages of the other side alone are taken as seen"
    none = [task.name for task in tasks if not task.languages(False)]
    if none and len(none) < len(tasks):
        yield f"{label} has no zero-shot answer on {', '.join(none)}: each language is trained on in one of the two sides"
