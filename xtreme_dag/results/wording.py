"""Plain sentences: what can be said, and what cannot."""

from __future__ import annotations

from collections.abc import Sequence

from xtreme_dag.results.effects import Comparison, Effect


def sentence_of(comparison: Comparison) -> str:
    """The outcome of a comparison in plain words: overall, by task, by language."""
    return f"{headline(comparison)} {detail(comparison)}".strip()


def headline(comparison: Comparison) -> str:
    """The outcome over all tasks, in one sentence."""
    overall, tasks = comparison.overall, comparison.tasks
    interval = f"{comparison.confidence:.0%} interval {_signed(overall.low)} to {_signed(overall.high)}"
    scope = f"on average over {len(tasks)} tasks" if len(tasks) > 1 else f"on {tasks[0].task}"
    if overall.verdict == "open":
        return (
            f"{comparison.condition} cannot be told from {comparison.baseline} {scope}: {_signed(overall.delta)} points "
            f"({interval}, p {_p(overall.p)}); a difference of {overall.detectable:.1f} points or more would probably "
            "have shown."
        )
    word = "beats" if overall.delta > 0 else "is worse than"
    return (
        f"{comparison.condition} {word} {comparison.baseline} by {abs(overall.delta):.1f} points {scope} "
        f"({interval}, p {_p(overall.p)})."
    )


def detail(comparison: Comparison) -> str:
    """The outcome by task and by language, in one or two sentences."""
    return " ".join(part for part in (_by_task(comparison.tasks), _by_language(comparison.languages)) if part)


def _by_task(tasks: Sequence[Effect]) -> str:
    if len(tasks) < 2:
        return ""
    groups = {
        verdict: [effect for effect in tasks if effect.verdict == verdict] for verdict in ("better", "worse", "open")
    }
    said = []
    if groups["better"]:
        said.append("better on " + _listed([f"{e.task} ({_signed(e.delta)})" for e in groups["better"]]))
    if groups["worse"]:
        said.append("worse on " + _listed([f"{e.task} ({_signed(e.delta)})" for e in groups["worse"]]))
    if groups["open"]:
        said.append(
            "not decided on "
            + _listed([f"{e.task} ({_signed(e.delta)}, {e.detectable:.1f} needed)" for e in groups["open"]])
        )
    text = "; ".join(said)
    return f"By task, after Holm's correction: {text}."


def _by_language(languages: Sequence[Effect]) -> str:
    if len(languages) < 2:
        return ""
    up = sum(effect.verdict == "better" for effect in languages)
    down = sum(effect.verdict == "worse" for effect in languages)
    return f"Of {len(languages)} task-language pairs {up} are better, {down} worse and {len(languages) - up - down} undecided."


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def _signed(value: float) -> str:
    text = f"{value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "\N{MINUS SIGN}")


def _p(value: float) -> str:
    if value < 0.001:
        return "< 0.001"
    return f"= {value:.2f}" if value >= 0.095 else f"= {value:.3f}"
