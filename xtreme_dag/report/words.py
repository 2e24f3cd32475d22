"""A condition described for readers: its own description, or a line made of its settings in the study file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xtreme_dag.results.wording import listed

Row = Mapping[str, Any]

_OBJECTIVES = {
    "mlm": "masked language modelling",
    "tlm": "translation language modelling",
    "tlm_chat": "translation language modelling of dialogues",
    "monodm": "monolingual dialogue modelling",
    "xdm": "cross-lingual dialogue modelling",
    "response": "masking of whole responses",
}
_ITEMS = {"parallel": "the same items in every language", "independent": "items drawn for each language by itself"}
_RULES = {"proportional": "in proportion to their sizes", "uniform": "in equal parts"}


def described(condition: Row) -> str:
    """What a condition is: its own words if it has some, else its mixture, budget and other settings in one line.

    Settings that say nothing out of the ordinary are left out.
    """
    if condition.get("description"):
        return str(condition["description"])
    return ", ".join([*_step(condition), *_rest(condition)])


def _step(step: Row) -> Iterator[str]:
    """One run of training: its mixture, how much of it, and what is unusual."""
    if "mixture" in step:
        yield " + ".join(map(_component, step["mixture"])) or "no intermediate training"
    for unit, amount in (step.get("budget") or {}).items():
        if amount is not None:
            yield "all examples" if unit == "everything" else f"{_amount(amount)} {unit}"
    if step.get("sampling"):
        yield f"tasks {_sampled(step['sampling'])}"
    if said := _ITEMS.get(step.get("items") or ""):
        yield said
    if step.get("control"):
        yield str(step["control"]).replace("shuffled_labels", "labels shuffled").replace("_", " ")
    if step.get("repeat"):
        yield "examples may repeat"
    if step.get("keep_heads"):
        yield "heads kept from the step before"
    if recipe := step.get("recipe"):
        yield f"with {_amount(recipe)}"


def _rest(condition: Row) -> Iterator[str]:
    """What follows the first step, and what differs in target training and in tests."""
    for step in condition.get("then") or ():
        yield f"then {', '.join(_step(step))}"
    if heads := condition.get("keep_head"):
        yield f"target training goes on with the head of {listed(heads)}"
    if source := condition.get("source_language"):
        made = ", translated from English" if condition.get("source_translated") else ""
        yield f"target tasks trained in {source}{made}"
    target = condition.get("target") or {}
    if counts := target.get("examples"):
        few = listed([f"{_amount(count)} examples in {code}" for code, count in counts.items()])
        yield f"target tasks trained on {few} too"
    if languages := target.get("languages"):
        made = ", translated" if target.get("translated") else ""
        yield f"target tasks trained in {listed(languages)} too{made} (translate-train)"
    if condition.get("test_translated"):
        yield "tests translated into the source language (translate-test)"


def _component(part: Row) -> str:
    """One dataset of a mixture: name, what is made of it, languages, share if it is not all."""
    objective = part.get("objective")
    name = objective["name"] if isinstance(objective, Mapping) else objective
    made = [_OBJECTIVES.get(name, name)] if name else []
    made += ["machine-translated"] if part.get("translated") else []
    languages = part.get("languages") or []
    if isinstance(languages, Mapping):
        said = " ".join(f"{code} {share:.0%}" for code, share in languages.items())
    else:
        said = " ".join(languages)
    if part.get("sampling"):
        said += f" {_sampled(part['sampling'])}"
    share = f"{part['share']:.0%}" if part.get("share", 1) != 1 else ""
    inside = ", ".join(filter(None, [*made, said, share]))
    return f"{part['dataset']} ({inside})" if inside else str(part["dataset"])


def _sampled(rule: Row) -> str:
    """How parts of different sizes are drawn from."""
    said = _RULES.get(rule["rule"]) or f"by their sizes at temperature {_amount(rule.get('temperature') or 1)}"
    return f"{said}, sizes capped at {_amount(rule['cap'])}" if rule.get("cap") else said


def _amount(value: Any) -> str:
    if isinstance(value, Mapping):
        return listed([f"{name.replace('_', ' ')} {_amount(item)}" for name, item in value.items()])
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
