"""`xtreme-dag compare`: compare conditions, with intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from xtreme_dag.core.home import Home
from xtreme_dag.program.options import home_option
from xtreme_dag.program.output import Answer, answers, table

if TYPE_CHECKING:
    from xtreme_dag.results.cells import Landed
    from xtreme_dag.results.effects import Comparison, Effect

_WORDS = ("task", "language", "trained on", "metric", "")
EXAMPLE = """\b
Examples:
  xtreme-dag compare
  xtreme-dag compare --study demo --baseline english --condition mixed --languages
  xtreme-dag compare --task xnli --json
  xtreme-dag compare --best
  xtreme-dag compare --levels
"""


@click.command(epilog=EXAMPLE)
@click.option("--study", help="The study; not needed if there is one only.")
@click.option("--baseline", help="The condition to compare with (default: the study's baseline).")
@click.option("--condition", "conditions", multiple=True, help="Only this condition; may be given again.")
@click.option("--task", "tasks", multiple=True, help="Only this task; may be given again.")
@click.option("--language", "languages", multiple=True, help="Only this language; may be given again.")
@click.option("--languages", "by_language", is_flag=True, help="One line per task and language too.")
@click.option("--best", is_flag=True, help="Which condition is best on dev for each task, and what that choice gains.")
@click.option(
    "--levels", "by_level", is_flag=True, help="What each condition reaches, and what one answer to everything would."
)
@click.option("--split", default="test", show_default=True, help="The split to compare on.")
@click.option("--metric", help="A metric instead of each task's primary one.")
@click.option(
    "--resamples", type=click.IntRange(min=100), help="Default: compare.resamples of the study file, 1000 if not given."
)
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 0.999),
    help="Default: compare.confidence of the study file, 0.95 if not given.",
)
@click.option(
    "--clusters",
    is_flag=True,
    default=None,
    help="Resample paragraphs with all their questions (default: compare.clusters of the study file); dialogues always are.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the resampling.")
@answers
@home_option
def command(by_language: bool, best: bool, by_level: bool, home: Home, **question: Any) -> Answer:
    """Compare conditions with the baseline: differences in points, with intervals.

    The means are over the languages that neither side was trained on for the task; those that one was are a row of
    their own. Paired bootstrap over examples within language, seeds taken into account. Verdicts are at 5 %, whatever
    the level of the intervals and whatever is filtered: p-values are corrected after Holm over all conditions and tasks
    of the study, and a language has a verdict where its task has one. `needed`, where nothing was found, is the difference
    that 80% of such studies would find.
    """
    from xtreme_dag.results.compare import compare_conditions

    if best and by_level:
        raise click.UsageError("--best and --levels are two questions: ask one at a time")
    if best:
        return _best(home, question)
    if by_level:
        return _levels(home, question)
    # an option that may be given again and was not asks for all
    asked: dict[str, Any] = {name: None if value == () else value for name, value in question.items()}
    found = compare_conditions(home, **asked)
    return Answer(
        value=[comparison.to_json() for comparison in found],
        text=["\n\n".join([*(_text(comparison, by_language) for comparison in found), *_trained(found)])],
    )


def _best(home: Home, question: dict[str, Any]) -> Answer:
    """The best condition of each task, chosen on dev."""
    from xtreme_dag.results.best import best_conditions

    landed, found = best_conditions(home, **_of_whole_study("--best", question))
    level = _interval_head(question, landed)
    gains = ["gain", level, "gain, unseen", level]
    heads = ["task", "best on dev", "seeds", "dev", "test", landed.baseline, *gains, "chosen by the other seeds"]
    rows = [
        [
            one.task,
            one.condition,
            str(one.seeds),
            *(
                "" if value is None else f"{value:.2f}"
                for value in (one.dev_value, one.test_value, one.baseline_test_value)
            ),
            *(
                word
                for gain in (one.gain, one.unseen)
                for word in (
                    ("", "") if gain is None else (f"{gain.delta:+.2f}", f"[{gain.low:+.2f}, {gain.high:+.2f}]")
                )
            ),
            ", ".join(dict.fromkeys(one.picks.values())),
        ]
        for one in found
    ]
    notes = [
        "note: gain: of each seed's run of the condition that the other seeds choose on dev, over the baseline's on test",
        "note: unseen: over the languages that no chosen condition nor the baseline was trained on for the task; dev is"
        " over all its languages",
    ]
    alone = (
        ["note: with one seed the gain of the choice is not known"] if any(one.gain is None for one in found) else []
    )
    return Answer(
        value=[one.to_json() for one in found],
        text=[table(heads, rows, right=(2, 3, 4, 5, 6, 7, 8, 9)), *notes, *alone],
    )


def _levels(home: Home, question: dict[str, Any]) -> Answer:
    """What each condition reaches on each task."""
    from xtreme_dag.results.levels import levels

    landed, found = levels(home, split=question["split"], **_of_whole_study("--levels", question))
    heads = ["task", "languages", "condition", "metric", "score", "constant", "difference", _interval_head(question, landed),
             "p corrected", "n", ""]  # fmt: skip
    rows = [
        [
            str(one.task), one.part, level.condition, one.metric, f"{one.value:.2f}", f"{one.baseline_value:.2f}",
            f"{one.delta:+.2f}", f"[{one.low:+.2f}, {one.high:+.2f}]", f"{one.p_corrected:.4f}", f"{one.n:,}",
            "above" if level.above else "",
        ]
        for level in found
        for one in (level.effect,)
    ]  # fmt: skip
    notes = [
        "note: constant: what the most frequent answer gets that is given to every example; no answer at all, 0, where answers"
        " are texts, rankings or pairs",
        "note: above: by an interval that holds for all lines together (Holm), at 5 %",
        *(["note: one seed: the intervals hold for these trained models, not for other seeds"]
          if any(level.effect.seeds == 1 for level in found) else []),
    ]  # fmt: skip
    return Answer(
        value=[level.to_json() for level in found], text=[table(heads, rows, right=(4, 5, 6, 7, 8, 9)), *notes]
    )


def _of_whole_study(option: str, question: dict[str, Any]) -> dict[str, Any]:
    """What an answer about the whole study takes of the question.

    Raises:
        UsageError: the question names a part of the study.
    """
    taken = ("study", "resamples", "confidence", "seed", "clusters")
    allowed = (*taken, "split") if option == "--levels" else taken
    for name, value in question.items():
        if name not in allowed and value not in ((), None, "test"):
            raise click.UsageError(f"{option} is over the whole study: leave out --{name.rstrip('s')}")
    return {name: question[name] for name in taken}


def _interval_head(question: dict[str, Any], landed: Landed) -> str:
    return f"{question['confidence'] or landed.told.get('confidence', 0.95):.0%} interval"


def _trained(found: list[Comparison]) -> list[str]:
    """The conditions with what their intermediate training really drew, if it is known."""
    from xtreme_dag.results.reading import HEADS

    both = [one for comparison in found for one in (comparison.baseline_trained, comparison.trained)]
    rows = [one.cells() for one in {one.condition: one for one in both if one is not None}.values()]
    return [table(HEADS, rows, right=(3, 4))] if rows else []


def _text(comparison: Comparison, by_language: bool) -> str:
    effects = []
    for effect in comparison.rows:
        below = (one for one in comparison.languages if (one.task, one.part) == (effect.task, effect.part))
        effects += [effect, *(below if by_language else ())]
    exact = by_language and any(effect.mcnemar is not None for effect in comparison.languages)
    columns = _columns(comparison, by_language, exact)
    rows = [[cell(effect) for _head, cell in columns] for effect in effects]
    figures = [place for place, (head, _cell) in enumerate(columns) if head not in _WORDS]
    notes = [f"note: {note}" for note in comparison.notes]
    return "\n".join([comparison.sentence, "", table([head for head, _cell in columns], rows, right=figures), *notes])


def _needed(effect: Effect) -> str:
    """What a difference would have had to be; nothing where one was found, or this one is as large already."""
    if effect.detectable is None or effect.verdict != "open" or abs(effect.delta) >= effect.detectable:
        return ""
    return f"{effect.detectable:.2f}"


def _columns(comparison: Comparison, by_language: bool, exact: bool) -> list[tuple[str, Callable[[Effect], str]]]:
    """Head of each column, and its cell; by_language: with what a language was trained on; exact: with McNemar's test."""
    known = by_language and any(effect.supervision for effect in comparison.languages)
    trained = (
        "trained on",
        lambda effect: f"{effect.supervision} | {effect.baseline_supervision}" if effect.language else "",
    )
    mcnemar = ("McNemar", lambda effect: "" if effect.mcnemar is None else f"{effect.mcnemar:.4f}")
    return [
        ("task", lambda effect: effect.task or "all tasks"),
        ("language", lambda effect: effect.scope),
        *([trained] if known else []),
        ("metric", lambda effect: effect.metric),
        (comparison.baseline, lambda effect: f"{effect.baseline_value:.2f}"),
        (comparison.title, lambda effect: f"{effect.value:.2f}"),
        ("delta", lambda effect: f"{effect.delta:+.2f}"),
        (f"{comparison.confidence:.0%} interval", lambda effect: f"[{effect.low:+.2f}, {effect.high:+.2f}]"),
        ("p", lambda effect: f"{effect.p:.4f}"),
        ("p corrected", lambda effect: f"{effect.p_corrected:.4f}"),
        *([mcnemar] if exact else []),
        ("needed", _needed),
        ("n", lambda effect: f"{effect.n:,}"),
        ("", lambda effect: "" if effect.verdict == "open" else effect.verdict),
    ]
