"""The factors in which two conditions differ; a comparison isolates a factor if it is the only one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xtreme_dag.study.conditions import Condition, Step
from xtreme_dag.study.file import Study
from xtreme_dag.study.sections import Section

# Fields that are compared here under a name of the comparison's own, or change no result. Every other field, a new one
# too, is a factor under its own name.
_COMPARED = frozenset({
    "mixture", "budget", "repeat", "control", "items", "sampling", "recipe", "keep_heads", "then", "keep_head",
    "source_language", "source_translated", "target", "test_translated", "description",
    "dataset", "languages", "split", "share", "task", "objective", "translated", "items_of",
})  # fmt: skip


def differences(study: Study, condition: Condition, other: Condition) -> tuple[str, ...]:
    """The factors in which two conditions differ.

    Languages and the origin of data are compared over the tasks that both have; what a further task brings with it is
    part of the factor `tasks`. Where they have no task in common, the languages of all tasks are compared. Whether
    items are disjoint matters where both have more than one language.
    """
    source = _of_target(study, condition, other)
    if not condition.steps or not other.steps:
        return (*source, *(("intermediate training",) if bool(condition.steps) != bool(other.steps) else ()))
    found: dict[str, None] = dict.fromkeys(source)
    if len(condition.steps) != len(other.steps):
        found["number of training steps in the chain"] = None
    if condition.keep_head != other.keep_head:
        found["kept heads"] = None
    for one, two in zip(condition.steps, other.steps, strict=False):
        found |= dict.fromkeys(_step_differences(one, two))
    return tuple(found)


def _of_target(study: Study, condition: Condition, other: Condition) -> tuple[str, ...]:
    """The factors of target training, and of what is tested."""
    one, two = ((each.target.examples, each.target.languages, each.target.translated) if each.target else ({}, (), None)
                for each in (condition, other))  # fmt: skip
    checks = {
        "source language of the target task": study.source_of(condition) != study.source_of(other)
        or condition.source_translated != other.source_translated,
        "target-language examples": one[0] != two[0],
        "further languages of target training": one[1:] != two[1:],
        "translated tests": condition.test_translated != other.test_translated,
    }
    return tuple(factor for factor, differs in checks.items() if differs)


def _step_differences(one: Step, two: Step) -> list[str]:
    blends, others = _blends(one), _blends(two)
    common = [task for task in blends if task in others]
    all_languages = [{code for blend in each.values() for code, _ in blend} for each in (blends, others)]
    multilingual = all(len(codes) > 1 for codes in all_languages)
    same_languages = all({code for code, _ in blends[task]} == {code for code, _ in others[task]} for task in common)
    checks = {
        "tasks": set(blends) != set(others),
        "task shares": set(blends) == set(others) and _task_shares(one) != _task_shares(two),
        "languages": any(_shares(one, task) != _shares(two, task) for task in common)
        or (not common and all_languages[0] != all_languages[1]),
        "origin of the data": any(set(blends[task]) != set(others[task]) for task in common)
        if same_languages
        else any(_made(blends[task]) != _made(others[task]) for task in common),
        "budget": one.budget != two.budget or one.repeat != two.repeat,
        "control": one.control != two.control,
        "items": multilingual and one.items != two.items,
        "recipe": dict(one.recipe) != dict(two.recipe),
        "kept heads": one.keep_heads != two.keep_heads,
    }
    pairs: list[tuple[Section, Section]] = [(one, two)]
    pairs += [(a, b) for a, b in zip(one.mixture, two.mixture, strict=False) if a.label == b.label]
    further = [name.replace("_", " ") for a, b in pairs for name in type(a).model_fields
               if name not in _COMPARED and getattr(a, name) != getattr(b, name)]  # fmt: skip
    return [*(factor for factor, differs in checks.items() if differs), *further]


def _blends(step: Step) -> dict[str, dict[tuple[str, str], float]]:
    """Task -> (language, how the data came about) -> share of the step."""
    found: dict[str, dict[tuple[str, str], float]] = {}
    for component in step.mixture:
        origin = "translated" if component.translated else component.dataset
        for code, share in component.shares().items():
            blend = found.setdefault(component.head_name, {})
            blend[code, origin] = round(share * component.share, 9)
    return found


def _task_shares(step: Step) -> Any:
    stated = {task: round(sum(blend.values()), 6) for task, blend in _blends(step).items()}
    return step.sampling if step.sampling else stated


def _shares(step: Step, task: str) -> Any:
    """Language -> share within a task, or the rule that gives it."""
    rules = [component.sampling for component in step.mixture if component.head_name == task and component.sampling]
    blend = _blends(step)[task]
    total = sum(blend.values())
    shares: dict[str, float] = {}
    for (code, _), share in blend.items():
        shares[code] = shares.get(code, 0.0) + share / total
    return {code: None if rules else round(share, 6) for code, share in shares.items()}, rules


def _made(blend: Mapping[tuple[str, str], float]) -> bool:
    """Whether some of it was translated here."""
    return any(origin == "translated" for _, origin in blend)
