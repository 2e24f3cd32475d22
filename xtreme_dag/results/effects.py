"""What a comparison says: differences with their intervals, in points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from xtreme_dag.results.draws import Draws
from xtreme_dag.results.inference import holm

Verdict = Literal["better", "worse", "open"]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One difference, condition minus baseline, in points.

    Attributes:
        task: target task; None for the mean over tasks.
        language: language; None for the mean over the task's languages.
        metric: what is compared; `mean` for the mean over tasks.
        value: the condition's figure on the compared examples.
        baseline_value: the baseline's.
        delta: the difference, mean over seeds.
        low, high: the interval.
        p: two-sided p-value of no difference.
        p_corrected: after Holm, over the task's languages or over the tasks.
        detectable: the true difference that would be found in 80 % of such studies.
        standard_error: of delta.
        n: examples that were compared (of one language or summed).
        seeds: number of the condition's seeds.
        baseline_seeds: number of the baseline's.
        mcnemar: exact p on the examples, for accuracies of one language; None otherwise.
        dropped: examples left out because not every run has them.
    """

    task: str | None
    language: str | None
    metric: str
    value: float
    baseline_value: float
    delta: float
    low: float
    high: float
    p: float
    p_corrected: float
    detectable: float
    standard_error: float
    n: int
    seeds: int
    baseline_seeds: int
    mcnemar: float | None = None
    dropped: int = 0

    @property
    def verdict(self) -> Verdict:
        """`better`, `worse`, or `open` if the corrected test does not exclude that nothing differs."""
        if self.p_corrected >= 0.05:
            return "open"
        return "better" if self.delta > 0 else "worse"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One condition against the baseline.

    Attributes:
        study: the study.
        condition, baseline: names; `other study/condition` for one of another study.
        split: the split that was compared.
        confidence: level of the intervals.
        resamples: number of resamples.
        overall: the mean over tasks.
        tasks: one effect per task.
        languages: one effect per task and language.
        notes: what a reader must know: dropped examples, missing cells, one seed only.
        sentence: what can and cannot be said, in plain words.
    """

    study: str
    condition: str
    baseline: str
    split: str
    confidence: float
    resamples: int
    overall: Effect
    tasks: tuple[Effect, ...]
    languages: tuple[Effect, ...]
    notes: tuple[str, ...]
    sentence: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON values, rounded to six decimals."""
        value = asdict(self)
        for key in ("tasks", "languages"):
            value[key] = [
                _rounded(row) | {"verdict": e.verdict} for row, e in zip(value[key], getattr(self, key), strict=True)
            ]
        value["overall"] = _rounded(value["overall"]) | {"verdict": self.overall.verdict}
        return value


def effect_of(draws: Draws, *, task: str | None, language: str | None, metric: str, confidence: float) -> Effect:
    """The difference with its interval and its uncorrected p-value."""
    found = draws.spread
    half, p = found.half_width((1 - confidence) / 2), found.p_value()
    return Effect(
        task=task,
        language=language,
        metric=metric,
        value=float(draws.observed[0].mean()),
        baseline_value=float(draws.observed[1].mean()),
        delta=found.delta,
        low=found.delta - half,
        high=found.delta + half,
        p=p,
        p_corrected=p,
        detectable=found.detectable(confidence),
        standard_error=float(np.sqrt(found.examples + found.seeds)),
        n=draws.n,
        seeds=len(draws.seeds[0]),
        baseline_seeds=len(draws.seeds[1]),
        mcnemar=draws.mcnemar,
        dropped=draws.dropped,
    )


def corrected(effects: Sequence[Effect]) -> list[Effect]:
    """The effects with p-values that hold for all of them at once (Holm)."""
    p_values = holm([effect.p for effect in effects])
    return [replace(effect, p_corrected=float(p)) for effect, p in zip(effects, p_values, strict=True)]


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in row.items()}
