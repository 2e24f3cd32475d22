"""The power of a planned study: which differences it would find, and where the variance behind that comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.program.output import table
from xtreme_dag.results.compare import compare_conditions
from xtreme_dag.results.power import MOST_SEEDS, POINTS, TOGETHER, Power, of_pilot, of_statement, power
from xtreme_dag.results.query import study_names
from xtreme_dag.study.file import Study
from xtreme_dag.wiring.forecast.claims import Claims

_STATED = "state what you expect: --accuracy 70 --seed-spread 1"


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """What a study would find.

    Attributes:
        source: where the variance comes from.
        seeds: the study's number of seeds.
        claims: the study's claims.
        rows: task by task, then on average.
        lacking: tasks of which no variance is known.
        grouped: those of them that have stated figures, which do not hold for examples that are drawn in groups.
    """

    source: str
    seeds: int
    claims: Claims
    rows: Sequence[Power]
    lacking: Sequence[str]
    grouped: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "source": self.source,
            "seeds": self.seeds,
            "claims": {"tasks": self.claims.of_tasks, "means": self.claims.of_means},
            "found": [row.to_json() for row in self.rows],
            "unknown": list(self.lacking),
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"power, from {self.source}:"
        heads = [f"seeds for {points:g} point{'' if points == 1 else 's'}" for points in POINTS]
        rows = [
            [
                row.task or "all tasks",
                "?" if row.n is None else f"{row.n:,}",
                "-" if row.found is None else f"{row.found:.1f}",
                *(str(row.seeds_for[points] or "-") for points in POINTS),
            ]
            for row in self.rows
        ]
        yield table(["task", "examples", f"{self.seeds} seeds find", *heads], rows, right=range(1, 3 + len(heads)))
        yield (
            "note: true differences in unseen languages that 80 % of such studies would find, in points; verdicts at 5 %, "
            f"corrected for {self.claims.of_tasks} claims about tasks and {self.claims.of_means} about their mean"
        )
        if any(None in row.seeds_for.values() for row in self.rows):
            yield f"note: -: not found with {MOST_SEEDS} seeds either (too few examples), or nearly all that is left to 100"
        if self.seeds == 1:
            yield "note: with one seed the verdicts would speak of the trained models alone"
        if self.grouped:
            yield (
                f"note: of {', '.join(self.grouped)} nothing is said without a pilot: the examples are drawn in groups that "
                "hang together, how closely no accuracy says"
            )
        if rest := [task for task in self.lacking if task not in self.grouped]:
            yield f"note: of {', '.join(rest)} nothing is said: no variance, or no number of examples, is known"


def foresee(
    home: Home, study: Study, claims: Claims, pilot: str | None, accuracy: float | None, seed_spread: float | None
) -> Foreseen:
    """What a study would find.

    Args:
        home: where the pilot's results are.
        study: the study.
        claims: its claims.
        pilot: a finished study; by default the study itself if it has landed, or the only one that has.
        accuracy, seed_spread: what is expected, instead of a pilot.

    Raises:
        UserError: there is no pilot, or it says nothing of seeds; no language is unseen in both sides of a comparison.
    """
    if not claims.examples:
        named = study.compare.condition
        of = f"the comparison of {named} with {study.compare.baseline}" if named else "each comparison"
        raise UserError(f"every language is trained on for the task in {of}", where=f"study {study.study}: power")
    grouped: frozenset[str] = frozenset()
    if accuracy is not None and seed_spread is not None:
        grouped = claims.wholes
        variances = of_statement(accuracy, seed_spread, claims.examples, grouped)
        source = (
            f"accuracies of {accuracy:g} % that vary by {seed_spread:g} points over seeds, models that fail independently of "
            f"each other, and differences that go together at {TOGETHER:g} in translations of an example"
        )
    else:
        name = pilot or _default_pilot(home, study.study)
        variances = of_pilot(compare_conditions(home, study=name, clusters=study.compare.clusters))
        source = f"the variance of study {name}"
        if not variances:
            what = "has no comparison over unseen languages with two or more seeds on each side: it does not say how far runs differ"
            raise UserError(what, where=f"pilot {name}", fix=_STATED)
    return Foreseen(
        source=source,
        seeds=len(study.seeds),
        claims=claims,
        rows=power(
            variances, claims.examples, of_tasks=claims.of_tasks, of_means=claims.of_means, seeds=len(study.seeds)
        ),
        lacking=[task for task in claims.examples if task not in variances],
        grouped=[task for task in claims.examples if task in grouped],
    )


def _default_pilot(home: Home, study: str) -> str:
    try:
        names = study_names(home)
    except UserError as error:
        raise UserError(f"there is no pilot: {error.what}", where=error.where, fix=_STATED) from None
    if study in names:
        return study
    if len(names) == 1:
        return names[0]
    raise UserError(f"which of {len(names)} studies?", where="--pilot", fix="one of: " + ", ".join(names))
