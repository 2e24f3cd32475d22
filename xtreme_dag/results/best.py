"""The best condition of each task, chosen on dev, and what the choice gains on test, with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.results.cells import SEEN, Cell, Landed, read_landed
from xtreme_dag.results.compare import CONFIDENCE, RESAMPLES
from xtreme_dag.results.draws import mean_of
from xtreme_dag.results.effects import Effect, effect_of
from xtreme_dag.results.pairing import Settings, measure_task
from xtreme_dag.results.predictions import Predictions
from xtreme_dag.results.query import reader

Picks = Mapping[str, Mapping[int, str]]
"""Task -> seed -> the condition that the other seeds choose on dev."""


class Gains(NamedTuple):
    """What the choice gains on a task over all languages, and over those that are unseen on both sides."""

    all: Effect | None
    unseen: Effect | None


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best condition of a task.

    Attributes:
        task, condition: the condition that is best on dev over all seeds; the baseline is a candidate.
        seeds: number of seeds that it was chosen on.
        dev_value, test_value, baseline_test_value: its figures, and the baseline's, in points.
        picks: what the other seeds choose, seed by seed.
        gain: of each seed's pick over the baseline on test, over all languages; None with one seed.
        unseen: the same over the languages that neither the baseline nor any pick was trained on for the task; None
            with one seed, or where there are none.
    """

    task: str
    condition: str
    seeds: int
    dev_value: float
    test_value: float | None
    baseline_test_value: float | None
    picks: Mapping[int, str]
    gain: Effect | None
    unseen: Effect | None

    def to_json(self) -> dict[str, Any]:
        """JSON values, rounded to six decimals."""
        figures = {
            f"{part}{name}": value
            for part, one in (("", self.gain), ("unseen_", self.unseen))
            if one is not None
            for name, value in (("gain", one.delta), ("low", one.low), ("high", one.high))
        }
        values = {
            **{name: getattr(self, name) for name in ("dev_value", "test_value", "baseline_test_value")},
            **figures,
        }
        return {
            "task": self.task, "condition": self.condition, "seeds": self.seeds, "picks": dict(self.picks),
            **{name: None if value is None else round(value, 6) for name, value in values.items()},
        }  # fmt: skip


def best_conditions(
    home: Home,
    *,
    study: str | None = None,
    resamples: int | None = None,
    confidence: float | None = None,
    seed: int = 0,
    clusters: bool | None = None,
) -> tuple[Landed, list[Best]]:
    """The best condition of each task, and what it was chosen from.

    A gain on test of the condition that dev has chosen would be too large: dev and test share the luck of the runs. So
    each seed counts for the condition that the *other* seeds choose. The interval is that of a comparison of these runs
    with the baseline's. It belongs to no family of claims and has no verdict. The choice is over all languages that have
    dev scores; the gain is told over all languages of test, and over the unseen ones, which alone are zero-shot.

    Args:
        home: the folder in which all state lives.
        study: the study; may be left out if there is one only.
        resamples, confidence: by default what the study file says under `compare`, or 1,000 and 0.95.
        seed: the seed of the resampling.
        clusters: as for `compare_conditions`.

    Raises:
        UserError: unknown names, no scores on dev, or predictions that are gone.
    """
    landed = read_landed(home, study, "test")
    with reader(home, predictions=False) as connection:
        rows = connection.execute(
            "SELECT task, condition, seeds, dev_value, test_value, baseline_test_value FROM best_per_target"
            " WHERE study = ? ORDER BY task",
            [landed.study],
        ).fetchall()
        chosen = connection.execute(
            "SELECT task, seed, condition FROM best_by_seed WHERE study = ? ORDER BY ALL", [landed.study]
        ).fetchall()
    if not rows:
        raise UserError("has no scores on dev to choose by", where=f"study {landed.study}")
    picks: dict[str, dict[int, str]] = {}
    for task, run, condition in chosen:
        picks.setdefault(task, {})[run] = condition
    gains = gains_of(
        landed, Predictions(home), picks, resamples=resamples, confidence=confidence, seed=seed, clusters=clusters
    )
    return landed, [
        Best(
            task=task, condition=condition, seeds=seeds, dev_value=dev, test_value=test, baseline_test_value=other,
            picks=picks.get(task, {}), gain=of_task.all, unseen=of_task.unseen,
        )
        for task, condition, seeds, dev, test, other in rows
        for of_task in (gains.get(task, Gains(None, None)),)
    ]  # fmt: skip


def gains_of(
    landed: Landed,
    predictions: Predictions,
    picks: Picks,
    *,
    resamples: int | None = None,
    confidence: float | None = None,
    seed: int = 0,
    clusters: bool | None = None,
) -> dict[str, Gains]:
    """For each task the gain on test of the runs that were picked, over the baseline's of the same seeds."""
    confidence = confidence or float(landed.told.get("confidence", CONFIDENCE))
    settings = Settings(
        study=landed.study, split=landed.split, metric=None, resamples=resamples or int(landed.told.get("resamples", RESAMPLES)),
        confidence=confidence, seed=seed, supervised=(), tasks=None, languages=None,
        clusters=bool(landed.told.get("clusters")) if clusters is None else clusters,
    )  # fmt: skip
    cells = {condition: tasks for (study, condition), tasks in landed.cells().items() if study == landed.study}
    against = cells.get(landed.baseline, {})
    found = {}
    for task, of_seed in picks.items():
        picked: dict[str, dict[int, Cell]] = {}
        other: dict[str, dict[int, Cell]] = {}
        for run, condition in of_seed.items():
            for language, runs in cells.get(condition, {}).get(task, {}).items():
                base = against.get(task, {}).get(language, {})
                if run in runs and run in base:
                    picked.setdefault(language, {})[run] = runs[run]
                    other.setdefault(language, {})[run] = base[run]
        both = (picked, other)
        predictions.check(cell.predictions for side in both for runs in side.values() for cell in runs.values())
        measured = measure_task(predictions, task, picked, other, settings, [])
        if measured is None:
            continue
        seen = {
            language
            for side in both
            for language, runs in side.items()
            if language in landed.supervised or any(cell.supervision in SEEN for cell in runs.values())
        }
        found[task] = Gains(
            *(
                effect_of(mean_of(draws), task=task, language=None, metric=measured.metric, confidence=confidence)
                if draws
                else None
                for draws in (
                    list(measured.draws.values()),
                    [one for language, one in measured.draws.items() if language not in seen],
                )
            )
        )
    return found
