"""`xtreme-dag compare`: compare conditions, with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from xtreme_dag.core.home import Home
from xtreme_dag.program.options import home_option
from xtreme_dag.program.output import Answer, answers, table

if TYPE_CHECKING:
    from xtreme_dag.results.effects import Comparison, Effect

EXAMPLE = """\b
Examples:
  xtreme-dag compare
  xtreme-dag compare --study demo --baseline english --condition mixed --languages
  xtreme-dag compare --task xnli --json
"""


@click.command(epilog=EXAMPLE)
@click.option("--study", help="The study; not needed if there is one only.")
@click.option("--baseline", help="The condition to compare with (default: the study's baseline).")
@click.option("--condition", "conditions", multiple=True, help="Only this condition; may be given again.")
@click.option("--task", "tasks", multiple=True, help="Only this task; may be given again.")
@click.option("--language", "codes", multiple=True, help="Only this language; may be given again.")
@click.option("--languages", "by_language", is_flag=True, help="One line per task and language too.")
@click.option("--split", default="test", show_default=True, help="The split to compare on.")
@click.option("--metric", help="A metric instead of each task's primary one.")
@click.option("--resamples", type=click.IntRange(min=100), help="Default: what the study file says, or 2000.")
@click.option("--confidence", type=click.FloatRange(0.5, 0.999), help="Default: what the study file says, or 0.95.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the resampling.")
@answers
@home_option
def command(
    study: str | None,
    baseline: str | None,
    conditions: tuple[str, ...],
    tasks: tuple[str, ...],
    codes: tuple[str, ...],
    by_language: bool,
    split: str,
    metric: str | None,
    resamples: int | None,
    confidence: float | None,
    seed: int,
    home: Home,
) -> Answer:
    """Compare conditions with the baseline: differences in points, with intervals.

    Paired bootstrap over examples within language, seeds taken into account, p-values corrected after Holm over the
    tasks and over the languages of a task. `needed` is the difference that would be found in 80% of such studies.
    """
    from xtreme_dag.results.compare import compare_conditions

    found = compare_conditions(
        home.root,
        study=study,
        baseline=baseline,
        conditions=conditions or None,
        tasks=tasks or None,
        languages=codes or None,
        split=split,
        metric=metric,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )
    return Answer(
        value=[comparison.to_json() for comparison in found],
        text=["\n\n".join(_text(comparison, by_language) for comparison in found)],
    )


def _text(comparison: Comparison, by_language: bool) -> str:
    exact = by_language and any(effect.mcnemar is not None for effect in comparison.languages)
    names = ["task", "language", "metric", comparison.baseline, comparison.condition, "delta"]
    names += [
        f"{comparison.confidence:.0%} interval",
        "p",
        "p Holm",
        *(["McNemar"] if exact else []),
        "needed",
        "n",
        "",
    ]
    rows: list[list[str]] = []
    for effect in comparison.tasks:
        rows.append(_row(effect, exact))
        if by_language:
            rows += [_row(one, exact) for one in comparison.languages if one.task == effect.task]
    if len(comparison.tasks) > 1:
        rows.append(_row(comparison.overall, exact))
    notes = [f"note: {note}" for note in comparison.notes]
    return "\n".join([comparison.sentence, "", table(names, rows, right=range(3, len(names) - 1)), *notes])


def _row(effect: Effect, exact: bool) -> list[str]:
    mcnemar = ["" if effect.mcnemar is None else f"{effect.mcnemar:.4f}"] if exact else []
    return [
        effect.task or "all tasks",
        effect.language or "all",
        effect.metric,
        f"{effect.baseline_value:.2f}",
        f"{effect.value:.2f}",
        f"{effect.delta:+.2f}",
        f"[{effect.low:+.2f}, {effect.high:+.2f}]",
        f"{effect.p:.4f}",
        f"{effect.p_corrected:.4f}",
        *mcnemar,
        f"{effect.detectable:.2f}",
        f"{effect.n:,}",
        "" if effect.verdict == "open" else effect.verdict,
    ]
