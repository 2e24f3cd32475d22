"""Intervals, tests and corrections for several claims, computed from resamples.

Model of a side's figures: y[i, s] = m + a[i] + b[s] + e[i, s] for example i and seed s. The examples are the same for
both sides and all seeds, so the difference of the sides has var(a)/n + var(e)/(nK) from the choice of examples, which
is what resampling the examples, with all runs kept, gives; the choice of seeds adds var(b)/K of each side.

Resampling K seeds with replacement is no remedy for the last: its variance is (K-1)/K of what it should be, and three
seeds have ten distinct resamples. The seeds' means differ by b and by e; their spread gives var(b)/K + var(e)/(nK) in
closed form, with Student's quantile. What e adds is known from the resamples and is taken off the examples' part. (It
could be taken off the seeds' part instead. That is narrower, but where three seeds happen to lie close, nothing is left
of their part: at the small levels of a corrected test it finds differences that are not there.)

The same seed gives both sides the same order of examples and the same new head, so their runs may go together. Where
three or more seeds are common to both sides, the correlation r of their runs is estimated as 1 - var(difference) /
(var + var) and drawn towards 0 where it is small enough to be chance: r |r| / r0 below r0 = 1.2 / sqrt(pairs - 1). A
correlation that is noise then costs no power, and a large one counts in full. The degrees of freedom go from Welch's
(r = 0) to the number of pairs less one (|r| = 1); Welch's are of spreads that are drawn halfway to their common mean:
three runs say little of which side varies more, and Welch's own are then too few where both vary alike. Of two common
seeds nothing can be estimated: they count as independent. `bench/inference.py` has the table of coverage.

The two parts are joined by recovery of variance estimates (Zou and Donner 2008, Statistics in Medicine 27:1693): the
half-width is sqrt(q_n^2 V_examples + q_K^2 V_seeds). A side with one seed adds nothing: the interval then speaks of
that model, and not of others that are trained in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, chdtri, nctdtrinc, stdtr, stdtrit

Floats = NDArray[np.float64]

POWER = 0.8
_CHANCE = 1.2  # correlations below this over the square root of the degrees of freedom may be chance
_HEAVY = (
    2 / 3
)  # runs tell as little of their spread as two thirds as many would if it were normal (excess kurtosis near 1)
_FEWEST = 3  # seeds common to both sides, from which on their correlation is estimated


@dataclass(frozen=True, kw_only=True)
class Spread:
    """What the resamples say of one difference.

    Attributes:
        delta: the difference, in points.
        examples: variance from the choice of examples.
        seeds: variance from the choice of seeds, and from what each makes of each example; 0 with one seed.
        n: number of examples.
        degrees: degrees of freedom of `seeds`.
        residual: the variance that is both in `examples` and in `seeds`.
    """

    delta: float
    examples: float
    seeds: float
    n: int
    degrees: float
    residual: float = 0.0

    @property
    def variance(self) -> float:
        """Variance of the difference."""
        return self.examples - self.residual + self.seeds

    def half_width(self, tail: float) -> float:
        """Half the width of the interval that leaves `tail` outside on each side."""
        quantile = student_quantile(tail, max(self.n - 1, 1))  # below 0; squared
        width = quantile**2 * (self.examples - self.residual)
        if self.seeds > 0:
            width += student_quantile(tail, self.degrees) ** 2 * self.seeds
        return float(np.sqrt(width))

    def p_value(self) -> float:
        """Two-sided p: 1 minus the level at which the interval just touches 0."""
        if self.delta == 0.0:
            return 1.0
        if self.seeds == 0:
            return float(2.0 * stdtr(max(self.n - 1, 1), -abs(self.delta) / np.sqrt(self.variance)))
        # The tail lies between those of Student's t with the degrees of freedom of either part.
        t, size = -abs(self.delta) / np.sqrt(self.variance), abs(self.delta)
        tails = [max(float(stdtr(degrees, t)), 1e-100) for degrees in (max(self.n - 1, 1), self.degrees)]

        def too_wide(tail: float) -> float:
            return float(np.log(max(self.half_width(tail), 1e-100 * size) / size))

        return min(1.0, 2.0 * _root(too_wide, min(tails), max(tails)))

    @property
    def effective_degrees(self) -> float:
        """Degrees of freedom of the whole variance, after Satterthwaite."""
        own = self.examples - self.residual
        parts = own**2 / max(self.n - 1, 1) + self.seeds**2 / self.degrees
        return float(self.variance**2 / parts) if parts > 0 else float(max(self.n - 1, 1))

    def power_at(self, level: float) -> float:
        """The true difference that a test at a level finds in 80 % of studies with this variance.

        The test estimates the variance, from few seeds badly: the power is that of the noncentral t distribution.
        """
        error = float(np.sqrt(self.variance))
        if error == 0.0:
            return 0.0
        return error * float(nctdtrinc(self.effective_degrees, 1 - POWER, self.half_width(level / 2) / error))

    def detectable(self, level: float) -> float:
        """The same where the variance is an estimate from one study: half of all studies say more, half say less."""
        degrees = self.effective_degrees * (1.0 if self.seeds == 0 else _HEAVY)
        # The median of an estimated standard error lies below the true one, by this factor (for normal figures).
        return self.power_at(level) / float(np.sqrt(chdtri(degrees, 0.5) / degrees))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that falls is 0, between two positive numbers: the secant of log(x), after Illinois."""
    ends = [(float(np.log(x)), function(x)) for x in (low, high)]
    for _ in range(100):
        (a, up), (b, down) = ends
        if up <= 0 or b - a < 1e-12:
            return float(np.exp(a))
        if down >= 0:
            return float(np.exp(b))
        x = (a * down - b * up) / (down - up)
        found = function(float(np.exp(x)))
        if abs(found) < 1e-12:
            return float(np.exp(x))
        ends = [(x, found), (b, down / 2)] if found > 0 else [(a, up / 2), (x, found)]
    return float(np.exp(ends[0][0]))


def spread(
    observed: Sequence[ArrayLike],
    draws: Sequence[ArrayLike],
    n: int,
    floor: float,
    pairs: Sequence[tuple[int, int]] = (),
) -> Spread:
    """The variance of the difference of two sides, by its sources.

    Args:
        observed: figures of condition and baseline on the whole data, in points; each (seeds of that side,).
        draws: the same on resampled examples, each (resamples, seeds of that side); all runs share each resample.
        n: number of examples that were resampled.
        floor: smallest credible standard error: see `smallest_error`.
        pairs: places of the seeds that both sides have, in the figures of each.
    """
    figures = [np.asarray(side, dtype=np.float64) for side in observed]
    resampled = [np.asarray(side, dtype=np.float64) for side in draws]
    unbiased = n / (n - 1) if n > 1 else 1.0  # resampling n of n has (n-1)/n of the variance
    examples = float((resampled[0].mean(axis=1) - resampled[1].mean(axis=1)).var(ddof=1)) * unbiased
    examples = max(examples, floor**2)
    several = [side for side in figures if len(side) > 1]
    spreads = np.array([side.var(ddof=1) for side in several])
    runs = np.array([len(side) for side in several])
    within = 0.0
    for drawn in resampled:
        if drawn.shape[1] > 1:
            each, mean = float(drawn.var(axis=0, ddof=1).mean()), float(drawn.mean(axis=1).var(ddof=1))
            within += max(0.0, (each - mean) * unbiased / (drawn.shape[1] - 1))  # var(e)/(nK)
    seeds, degrees = float((spreads / runs).sum()), _degrees(spreads, runs)
    if len(pairs) >= _FEWEST and seeds > 0:
        known = len(pairs) - 1
        r = correlation(*(figures[side][[pair[side] for pair in pairs]] for side in (0, 1)))
        seeds = max(0.0, seeds - r * float(spreads.sum()) * len(pairs) / float(runs.prod()))
        degrees = known + max(0.0, degrees - known) * (1 - abs(r)) ** 4
    return Spread(
        delta=float(figures[0].mean() - figures[1].mean()),
        examples=examples,
        seeds=seeds,
        n=n,
        degrees=degrees,
        residual=min(within, examples, max(0.0, examples + seeds - floor**2)),
    )


def correlation(one: Floats, other: Floats) -> float:
    """The correlation of paired runs, drawn towards 0 where it may be chance.

    Args:
        one, other: figures of both sides, seed by seed, at least two.
    """
    both = float(one.var(ddof=1) + other.var(ddof=1))
    if both == 0.0:
        return 0.0
    r = 1.0 - float((one - other).var(ddof=1)) / both
    return r * min(1.0, abs(r) / min(1.0, _CHANCE / float(np.sqrt(len(one) - 1))))


def _degrees(spreads: Floats, runs: NDArray[np.int64]) -> float:
    """Degrees of freedom of the seeds' part, after Welch, of spreads that are drawn halfway to their mean."""
    if not spreads.any():
        return 1.0
    parts = (spreads + spreads.mean()) / 2 / runs
    return max(1.0, float(parts.sum() ** 2 / (parts**2 / (runs - 1)).sum()))


def smallest_error(n: int) -> float:
    """Standard error in points if two more examples had come out, one in favour of each condition.

    Resamples of data in which hardly any example differs have hardly any spread, but n agreeing examples do not prove
    that the next one agrees (Bonett and Price 2012, Journal of Educational and Behavioral Statistics 37:479).
    """
    return 100.0 * float(np.sqrt(2.0)) / (n + 2)


def holm(p_values: ArrayLike) -> Floats:
    """Holm's step-down correction: p-values that hold for all of the family at once (Holm 1979)."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def mcnemar(gains: int, losses: int) -> float:
    """McNemar's exact two-sided p: the binomial test of the discordant examples at one half.

    Args:
        gains: examples that only the condition got right.
        losses: examples that only the baseline got right.
    """
    # `scipy.stats.binomtest` gives the same and takes half a second to import.
    return float(min(1.0, 2.0 * bdtr(min(gains, losses), gains + losses, 0.5)))


def student_quantile(probability: float, degrees: float) -> float:
    """Quantile of Student's t."""
    return float(stdtrit(degrees, probability))
