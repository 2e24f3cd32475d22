"""Labels of dialogue state tracking: slots and their values, and the ontology that lists them.

A label is `SLOT=VALUE`, or `request=SLOT` where the user asks for a slot. The labels of a turn are what the user says in
it; the state is all that holds after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from xtreme_dag.core.errors import UserError

REQUEST = "request"
NONE = "none"
"""The class of a slot of which a turn says nothing."""
DONTCARE = "dontcare"
"""The value of a slot of which any value will do; it is in no ontology's list."""


@dataclass(frozen=True, kw_only=True)
class Ontology:
    """What can be said.

    Attributes:
        classes: informable slot -> `none`, `dontcare` and its values, in the order of the labels.
        requests: requestable slots.
    """

    classes: Mapping[str, tuple[str, ...]]
    requests: tuple[str, ...]


def ontology(labels: Iterable[str]) -> Ontology:
    """The ontology of a label set: labels in the dataset's order, `dontcare` or not.

    Raises:
        UserError: a label is not of the form `SLOT=VALUE`.
    """
    classes: dict[str, dict[str, None]] = {}
    requests: dict[str, None] = {}
    for label in labels:
        slot, equals, value = label.partition("=")
        if not (slot and equals and value):
            raise UserError(f"the label {label!r} is not of the form SLOT=VALUE", fix="food=chinese, request=phone")
        if slot == REQUEST:
            requests[value] = None
        else:
            classes.setdefault(slot, {NONE: None, DONTCARE: None})[value] = None
    return Ontology(classes={slot: tuple(values) for slot, values in classes.items()}, requests=tuple(requests))


def informed(labels: Iterable[str]) -> dict[str, str]:
    """Slot -> value of the labels that are no requests; of several values of a slot the last."""
    return {slot: value for slot, _, value in (label.partition("=") for label in labels) if slot != REQUEST}


def accumulated(dialogues: Sequence[str], labels: Sequence[Iterable[str]]) -> list[dict[str, str]]:
    """The state after each turn: what the turns of the dialogue up to it say, the last word on each slot.

    Args:
        dialogues: of each turn; the turns of a dialogue are in order.
        labels: of each turn.
    """
    states: dict[str, dict[str, str]] = {}
    return [
        states.setdefault(dialogue, {}).update(informed(said)) or dict(states[dialogue])
        for dialogue, said in zip(dialogues, labels, strict=True)
    ]


def as_labels(state: Mapping[str, str]) -> list[str]:
    """A state as sorted labels."""
    return sorted(f"{slot}={value}" for slot, value in state.items())


def as_text(labels: Iterable[str], state: Mapping[str, str]) -> str:
    """The outcome of a turn, its labels and the state after it, as one text."""
    return json.dumps({"turn": sorted(labels), "state": as_labels(state)}, ensure_ascii=False)


def turn_of(text: str) -> list[str]:
    """The labels of the turn in an outcome's text."""
    return [str(label) for label in json.loads(text)["turn"]]
