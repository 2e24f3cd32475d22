"""Plain sentences: what can be said, and what cannot."""

from __future__ import annotations

from collections.abc import Sequence

from xtreme_dag.results.effects import Comparison, Effect


def sentence_of(comparison: Comparison) -> str:
    """The outcome of a comparison in plain words; two or three sentences."""
    overall, tasks = comparison.overall, comparison.tasks
    interval = f"{comparison.confidence:.0%} interval {_signed(overall.low)} to {_signed(overall.high)}"
    scope = f"on average over {len(tasks)} tasks" if len(tasks) > 1 else f"on {tasks[0].task}"
    names = f"{comparison.condition} {{}} {comparison.baseline}"
    if overall.verdict == "open":
        first = (
            f"{names.format('cannot be told from')} {scope}: {_signed(overall.delta)} points ({interval}, "
            f"p = {_p(overall.p)}); a difference of {overall.detectable:.1f} points or more would probably have shown."
        )
    else:
        word = "beats" if overall.delta > 0 else "is worse than"
        first = (
            f"{names.format(word)} by {abs(overall.delta):.1f} points {scope} ({interval}, p {_p_equals(overall.p)})."
        )
    return " ".join([first, *_by_task(tasks), _by_language(comparison.languages)]).strip()


def _by_task(tasks: Sequence[Effect]) -> list[str]:
    if len(tasks) < 2:
        return []
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
    return [f"By task, after Holm's correction: {text}."]


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
    return f"{value:.2f}" if value >= 0.095 else f"{value:.3f}"


def _p_equals(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {_p(value)}"
