"""The outcome of a comparison: differences in points, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from xtreme_dag.results.draws import Draws
from xtreme_dag.results.inference import Spread, holm
from xtreme_dag.results.reading import Trained

LEVEL = 0.05
"""The level of all verdicts, whatever the level of the intervals that are shown."""
ROOM = 0.5
"""The share of what the baseline leaves to 100 up to which `needed` is said: near the ceiling runs and examples vary less
than they did in the study, and its variance says nothing of what would be found there."""
Verdict = Literal["better", "worse", "open"]
Part = Literal["all", "unseen", "seen"]


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
        p_corrected: corrected for the study's other claims, see `claims`.
        detectable: the true difference that the deciding test, its correction included, would find in 80 % of such
            studies; None where that cannot be said: a side is degenerate, it is too much of what the baseline leaves to
            100, or the effect is `chosen`.
        standard_error: of delta.
        n: examples that were compared (of one language or summed).
        seeds: number of the condition's seeds.
        baseline_seeds: number of the baseline's.
        mcnemar: exact p on the examples, for accuracies of one language and one seed of each side; None otherwise.
        dropped: examples left out because not every run has them.
        part: over which languages: those `unseen` in training for the task by both conditions, those `seen` by one, or
            `all` where it is not known.
        supervision, baseline_supervision: what each side was trained on in the language; None for means and if unknown.
        by_seed: the difference of each seed that both sides have; where they share none, of each of the condition's from
            the baseline's mean.
        degenerate: a side (`condition`, `baseline`) and why it is degenerate, for each of both that there is: then a
            difference that is not found is no null result.
        chosen: whether it is a mean over a choice of tasks or languages, which is no claim of the study.
        spread: where the difference's variance comes from.
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
    detectable: float | None
    standard_error: float
    n: int
    seeds: int
    baseline_seeds: int
    mcnemar: float | None = None
    dropped: int = 0
    part: Part = "all"
    supervision: str | None = None
    baseline_supervision: str | None = None
    by_seed: tuple[float, ...] = ()
    degenerate: tuple[tuple[str, str], ...] = ()
    chosen: bool = False
    spread: Spread = field(repr=False)

    @property
    def verdict(self) -> Verdict:
        """`better`, `worse`, or `open` if the corrected test does not exclude that nothing differs."""
        if self.p_corrected >= LEVEL:
            return "open"
        return "better" if self.delta > 0 else "worse"

    @property
    def scope(self) -> str:
        """The languages that it is over, or its language."""
        return self.language or self.part


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One condition against the baseline.

    Attributes:
        study: the study.
        condition, baseline: names; `other study/condition` for one of another study.
        split: the split that was compared.
        confidence: level of the intervals.
        resamples: number of resamples.
        overall: the mean over tasks of the languages that are unseen by both; of the seen ones where none is unseen.
        tasks: one effect per task that has such languages.
        seen: the same over the languages that one of the two was trained on for the task, their mean over tasks last.
        languages: one effect per task and language.
        language_means: one effect per language, its mean over the tasks that are shown; none where that is one task.
        notes: what a reader must know: dropped examples, missing cells, one seed only.
        sentence: what can and cannot be said, in plain words.
        named: whether it is the comparison that the study names.
        control: whether the condition is a control.
        trained, baseline_trained: what their intermediate training drew; None if it is not known.
    """

    study: str
    condition: str
    baseline: str
    split: str
    confidence: float
    resamples: int
    overall: Effect
    tasks: tuple[Effect, ...]
    seen: tuple[Effect, ...]
    languages: tuple[Effect, ...]
    language_means: tuple[Effect, ...]
    notes: tuple[str, ...]
    sentence: str = ""
    named: bool = False
    control: bool = False
    trained: Trained | None = None
    baseline_trained: Trained | None = None

    @property
    def title(self) -> str:
        """The condition, with the word control if it is one."""
        return f"{self.condition} (control)" if self.control else self.condition

    @property
    def rows(self) -> tuple[Effect, ...]:
        """What a table of it shows: tasks, their mean, and the same of seen languages."""
        return (*self.tasks, *([self.overall] if len(self.tasks) > 1 else []), *self.seen)

    def to_json(self) -> dict[str, Any]:
        """JSON values, rounded to six decimals."""
        value = asdict(self)
        for key in ("tasks", "seen", "languages", "language_means"):
            value[key] = [_rounded(row, e) for row, e in zip(value[key], getattr(self, key), strict=True)]
        value["overall"] = _rounded(value["overall"], self.overall)
        return value


def effect_of(
    draws: Draws,
    *,
    task: str | None,
    language: str | None,
    metric: str,
    confidence: float,
    part: Part = "all",
    supervision: tuple[str | None, str | None] = (None, None),
) -> Effect:
    """The difference with its interval and its uncorrected p-value.

    Args:
        draws: the figures of both sides.
        task, language, metric, part: what it is of.
        confidence: level of the interval.
        supervision: of the condition and of the baseline.
    """
    found = draws.spread
    half, p = found.half_width((1 - confidence) / 2), found.p_value()
    effect = Effect(
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
        detectable=None,
        standard_error=float(np.sqrt(found.variance)),
        n=draws.n,
        seeds=len(draws.seeds[0]),
        baseline_seeds=len(draws.seeds[1]),
        mcnemar=draws.mcnemar,
        dropped=draws.dropped,
        by_seed=draws.by_seed,
        part=part,
        supervision=supervision[0],
        baseline_supervision=supervision[1],
        degenerate=draws.degenerate,
        spread=found,
    )
    return replace(effect, detectable=_detectable(effect, LEVEL))


def corrected(effects: Sequence[Effect], untested: int = 0) -> list[Effect]:
    """The effects of a family, with p-values that hold for all of them at once (Holm).

    Args:
        effects: uncorrected.
        untested: further members of the family that have no p-value; they count as not decided.
    """
    p_values = holm([*(effect.p for effect in effects), *[1.0] * untested])[: len(effects)]
    level = LEVEL / max(1, len(effects) + untested - int((p_values < LEVEL).sum()))
    return [
        replace(effect, p_corrected=float(p), detectable=_detectable(effect, level))
        for effect, p in zip(effects, p_values, strict=True)
    ]


def _detectable(effect: Effect, level: float) -> float | None:
    """What a test at a level would find in 80 % of studies; None where no such thing can be said."""
    found = effect.spread.detectable(level)
    return None if effect.degenerate or found > ROOM * (100.0 - effect.baseline_value) else found


def _rounded(row: dict[str, Any], effect: Effect) -> dict[str, Any]:
    del row["spread"]
    rounded = {key: round(value, 6) if isinstance(value, float) else value for key, value in row.items()}
    return rounded | {"by_seed": [round(value, 6) for value in effect.by_seed], "verdict": effect.verdict}
