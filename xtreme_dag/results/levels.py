"""What each condition reaches, and whether that is more than one answer to everything gets.

A difference between two conditions says little where neither has learnt the task. So each figure is held against that
of the constant answer (`scoring.constant`) on the same examples, with the resampling, the seeds and the correction that
`compare` has: the constant answer is a baseline of one run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtreme_dag.core.home import Home
from xtreme_dag.results.cells import SEEN, Landed, OfTask, read_landed
from xtreme_dag.results.compare import CONFIDENCE, RESAMPLES
from xtreme_dag.results.draws import draw, mean_of
from xtreme_dag.results.effects import Effect, Part, corrected, effect_of
from xtreme_dag.results.pairing import Settings
from xtreme_dag.results.pairs import Leaf, Run, added_metrics, cluster_column, family_of, find_metric, read_leaves
from xtreme_dag.results.predictions import Predictions
from xtreme_dag.scoring.columns import Metric
from xtreme_dag.scoring.constant import CONSTANT, most_frequent

_ALWAYS: Run = ("baseline", -1)  # no condition has this seed, so it pairs with none


@dataclass(frozen=True, kw_only=True)
class Level:
    """What a condition reaches on a task, in the languages that it was trained on for it (`seen`) or in the others.

    Attributes:
        condition: its name.
        effect: the figure (`value`) beside that of the constant answer (`baseline_value`), in points.
        confidence: level of the interval.
    """

    condition: str
    effect: Effect
    confidence: float

    @property
    def above(self) -> bool:
        """Whether it is established that it is more than the constant answer."""
        return self.effect.verdict == "better"

    def to_json(self) -> dict[str, Any]:
        """JSON values, rounded to six decimals."""
        names = {"value": "value", "constant": "baseline_value", "difference": "delta", "low": "low", "high": "high",
                 "p": "p", "p_corrected": "p_corrected"}  # fmt: skip
        figures = {name: round(float(getattr(self.effect, field)), 6) for name, field in names.items()}
        told = {name: getattr(self.effect, name) for name in ("task", "part", "metric", "n", "seeds")}
        return {"condition": self.condition, **told, **figures, "above": self.above}


def levels(
    home: Home,
    *,
    study: str | None = None,
    split: str = "test",
    resamples: int | None = None,
    confidence: float | None = None,
    seed: int = 0,
    clusters: bool | None = None,
) -> tuple[Landed, list[Level]]:
    """What each condition of a study reaches, by task; p-values are corrected for all of them together (Holm).

    Args:
        home: the folder in which all state lives.
        study: the study; may be left out if there is one only.
        split: the split.
        resamples, confidence, clusters: as for `compare_conditions`.
        seed: the seed of the resampling.

    Raises:
        UserError: unknown names, or predictions that are gone or damaged.
    """
    landed, predictions = read_landed(home, study, split), Predictions(home)
    settings = Settings(
        study=landed.study, split=split, metric=None, seed=seed, supervised=landed.supervised, tasks=None, languages=None,
        resamples=resamples or int(landed.told.get("resamples", RESAMPLES)),
        confidence=confidence or float(landed.told.get("confidence", CONFIDENCE)),
        clusters=bool(landed.told.get("clusters")) if clusters is None else clusters,
    )  # fmt: skip
    cells = landed.cells()
    found = [
        (condition, effect)
        for task in sorted({task for name, _, task, *_ in landed.rows if name == landed.study})
        for condition in dict.fromkeys((landed.baseline, *landed.order))
        if (of := cells.get((landed.study, condition), {}).get(task))
        for effect in _effects(predictions, task, of, settings)
    ]
    effects = corrected([effect for _, effect in found])
    return landed, [
        Level(condition=name, effect=effect, confidence=settings.confidence)
        for (name, _), effect in zip(found, effects, strict=True)
    ]


def _effects(predictions: Predictions, task: str, of: OfTask, settings: Settings) -> Iterator[Effect]:
    """A condition's means over the languages of a task that it was not trained on for it, then over the others."""
    seeds = set.intersection(*(set(runs) for runs in of.values()))
    paths = {code: {("condition", run): of[code][run].predictions for run in sorted(seeds)} for code in sorted(of)}
    predictions.check(path for runs in paths.values() for path in runs.values())
    if not seeds:
        return
    firsts = {code: next(iter(runs.values())) for code, runs in paths.items()}
    name, columns = next(iter(next(iter(of.values())).values())).metric, predictions.columns(min(firsts.values()))
    metric = find_metric(name, columns, task, added_metrics(task))
    leaves = read_leaves(paths, metric, predictions, cluster_column(predictions, paths, settings.clusters))
    held = [_beside_constant(leaf, firsts[leaf.language], metric, predictions) for leaf in leaves]
    if not held:
        return
    draws = draw(held, metric, resamples=settings.resamples, seed=settings.seed, task=task)
    known = settings.supervised or any(cell.supervision for runs in of.values() for cell in runs.values())
    for part, codes in _parts(of, settings.supervised, list(draws)).items():
        if codes:
            told: Part = part if known else "all"
            mean = mean_of([draws[code] for code in codes])
            yield effect_of(mean, task=task, language=None, metric=name, confidence=settings.confidence, part=told)


def _parts(of: OfTask, supervised: Collection[str], codes: Sequence[str]) -> Mapping[Part, list[str]]:
    seen = {code for code in codes if code in supervised or any(c.supervision in SEEN for c in of[code].values())}
    return {"unseen": [code for code in codes if code not in seen], "seen": [code for code in codes if code in seen]}


def _beside_constant(leaf: Leaf, path: str, metric: Metric, predictions: Predictions) -> Leaf:
    """A leaf with the statistics of the constant answer as the run of a baseline."""
    gold = predictions.gold(path, leaf.ids)
    columns = {**leaf.columns, _ALWAYS: _constant(gold, metric, predictions.columns(path))}
    return replace(leaf, columns=columns)


def _constant(gold: Sequence[str], metric: Metric, available: Sequence[str]) -> NDArray[np.float32]:
    """(examples, columns of the metric)."""
    if metric.statistics is not None:
        found = metric.statistics(gold, [most_frequent(gold)] * len(gold))
    elif (family := family_of(available)) in CONSTANT:
        found = CONSTANT[family](gold)
    else:
        return np.zeros((len(gold), len(metric.columns)), np.float32)
    return np.stack([found[name] for name in metric.columns], axis=1).astype(np.float32)
