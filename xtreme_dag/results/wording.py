"""The outcome of a comparison in plain sentences: what can be concluded from it, and what cannot."""

from __future__ import annotations

from collections.abc import Sequence

from xtreme_dag.results.effects import Comparison, Effect
from xtreme_dag.results.signals import CHANCE, CONSTANT, DEGENERATE, FLAT, NEVER, UNREAD

_WHY = {
    CONSTANT: "{} gave one answer to all examples of a language",
    NEVER: "a label is never predicted by {}",
    CHANCE: "scores are at chance with {}",
    FLAT: "the loss does not fall with {}",
    UNREAD: "many tokens are unknown to {}",
}
_SCOPES = {"all": "", "unseen": " in unseen languages", "seen": " in seen languages"}


def sentence_of(comparison: Comparison) -> str:
    """The outcome of a comparison in plain words: overall, by task, by language."""
    return f"{headline(comparison)} {detail(comparison)}".strip()


def headline(comparison: Comparison) -> str:
    """The outcome over all tasks, in one sentence, or in two where no language is unseen by both sides."""
    control = "Control: " if comparison.control else ""
    if comparison.overall.part != "seen":
        return control + _claim(comparison, comparison.overall, comparison.tasks)
    return (
        f"{control}There is no zero-shot answer to {comparison.condition} against {comparison.baseline}: one of them is "
        f"trained on the task in every language. {_claim(comparison, comparison.overall, comparison.seen)}"
    )


def answer_lines(comparisons: Sequence[Comparison], left_out: int = 0) -> list[str]:
    """What a study answers, in at most three sentences, and where the comparisons are that these leave out.

    Args:
        comparisons: with the study's baseline.
        left_out: further comparisons, which are not among them.
    """
    lines, told = outcomes(comparisons)
    more = len(comparisons) - told + left_out
    split = f" --split {comparisons[0].split}" if comparisons and comparisons[0].split != "test" else ""
    return (
        [*lines, f"And {more} more: `xtreme-dag compare --study {comparisons[0].study}{split}`."]
        if told and more
        else lines
    )


def outcomes(comparisons: Sequence[Comparison]) -> tuple[list[str], int]:
    """At most three sentences on comparisons, and how many comparisons they are about.

    Those are the comparison that the study names, in unseen and in seen languages, and the first control; where it names
    none, the first two of all.
    """
    controls = [one for one in comparisons if one.control]
    others = [one for one in comparisons if not one.control]
    named = [one for one in others if one.named]
    first = named or others[:2]
    said = [line for one in first for line in (headline(one), in_seen(one) if named else "") if line]
    return [*said, *map(headline, controls[:1])], len(first) + len(controls[:1])


def detail(comparison: Comparison) -> str:
    """The outcome in seen languages, by task and by language, in some sentences."""
    parts = (in_seen(comparison), _by_task(comparison.tasks), _by_language(comparison.languages))
    return " ".join(part for part in parts if part)


def _claim(comparison: Comparison, effect: Effect, tasks: Sequence[Effect]) -> str:
    """One effect as a sentence; a side with one seed is one model, so it is the model that is spoken of."""
    one = _who(comparison.condition, effect.seeds)
    other = _who(comparison.baseline, effect.baseline_seeds)
    interval = f"{comparison.confidence:.0%} interval {_signed(effect.low)} to {_signed(effect.high)}"
    number = sum(task.task is not None for task in tasks)
    scope = (f"on average over {number} tasks" if number > 1 else f"on {tasks[0].task}") + _SCOPES[effect.part]
    p = f"{'' if effect.p_corrected == effect.p else 'corrected '}p {_p(effect.p_corrected)}"
    if effect.verdict != "open":
        word = "beats" if effect.delta > 0 else "is worse than"
        return f"{one} {word} {other} by {abs(effect.delta):.1f} points {scope} ({interval}, {p})."
    said = f"{one} cannot be told from {other} {scope}: {_signed(effect.delta)} points ({interval}, {p})"
    if effect.degenerate:
        return f"{said}; this is no null result, since {_reasons(comparison, effect)}."
    if effect.chosen:
        return f"{said}."
    if effect.detectable is None:
        return f"{said}; with so few seeds or examples hardly any improvement could have been found."
    if abs(effect.delta) >= effect.detectable:
        return f"{said}; four of five such studies would have told a difference of this size, this one could not."
    return f"{said}; a difference of {effect.detectable:.1f} points or more would probably have shown."


def _reasons(comparison: Comparison, effect: Effect) -> str:
    """Why one side or both are degenerate."""
    sides: dict[str, list[str]] = {}
    for side, why in effect.degenerate:
        sides.setdefault(why, []).append(getattr(comparison, side))
    return ", and ".join(_WHY[why].format(listed(sides[why])) for why in DEGENERATE if why in sides)


def _who(name: str, seeds: int) -> str:
    return f"{name}'s model" if seeds == 1 else name


def in_seen(comparison: Comparison) -> str:
    """What it is where one side was trained on the task in the language itself; empty if the headline says it."""
    if not comparison.seen or comparison.overall.part == "seen":
        return ""
    effect = comparison.seen[-1]
    interval = f"{comparison.confidence:.0%} interval {_signed(effect.low)} to {_signed(effect.high)}"
    return f"In the languages that one of them was trained on for the task it is {_signed(effect.delta)} points ({interval})."


def _by_task(tasks: Sequence[Effect]) -> str:
    if len(tasks) < 2:
        return ""
    groups = {
        verdict: [effect for effect in tasks if effect.verdict == verdict] for verdict in ("better", "worse", "open")
    }
    said = []
    if groups["better"]:
        said.append("better on " + listed([f"{e.task} ({_signed(e.delta)})" for e in groups["better"]]))
    if groups["worse"]:
        said.append("worse on " + listed([f"{e.task} ({_signed(e.delta)})" for e in groups["worse"]]))
    if groups["open"]:
        said.append("not decided on " + listed([_open(effect) for effect in groups["open"]]))
    return f"By task, after Holm's correction over the study's conditions and tasks: {'; '.join(said)}."


def _open(effect: Effect) -> str:
    needed = (
        ""
        if effect.detectable is None or abs(effect.delta) >= effect.detectable
        else f", {effect.detectable:.1f} needed"
    )
    return f"{effect.task} ({_signed(effect.delta)}{needed})"


def _by_language(languages: Sequence[Effect]) -> str:
    counted = [effect for effect in languages if effect.part != "seen"]
    if len(counted) < 2:
        return ""
    up = sum(effect.verdict == "better" for effect in counted)
    down = sum(effect.verdict == "worse" for effect in counted)
    unseen = "unseen " if counted[0].part == "unseen" else ""
    return (
        f"Of {len(counted)} {unseen}task-language pairs {up} are better, {down} worse and {len(counted) - up - down} "
        "undecided."
    )


def listed(items: Sequence[str]) -> str:
    """`a, b and c`."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def _signed(value: float) -> str:
    text = f"{value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "\N{MINUS SIGN}")


def _p(value: float) -> str:
    if value < 0.001:
        return "< 0.001"
    return f"= {value:.2f}" if value >= 0.095 else f"= {value:.3f}"
