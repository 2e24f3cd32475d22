"""Dialogues with states: Multilingual WoZ 2.0, parallel MultiWOZ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xtreme_dag.core.dialogue import DONTCARE, REQUEST, as_labels
from xtreme_dag.data.readers.files import Chunk, Place, content
from xtreme_dag.data.readers.pairs import Files, Options

_COLUMNS = ("id", "dialogue", "turn", "system", "acts", "text", "labels", "state")
_USER_AND_SYSTEM = 2  # MultiWOZ: an entry of the log for the user's turn, one for the system's


@dataclass(frozen=True, kw_only=True)
class _Names:
    """A language's names of slots and values -> those of the English ontology, by their place in it."""

    slots: Mapping[str, str]
    values: Mapping[tuple[str, str], str]
    requests: Mapping[str, str]
    same: Mapping[str, str]

    def label(self, slot: str, value: str) -> str:
        """The label of a slot and its value; a value that the ontology lacks stays as it is."""
        value = self.same.get(value, value)
        if slot == REQUEST:
            return f"{REQUEST}={self.requests.get(value, value)}"
        return f"{self.slots.get(slot, slot)}={self.values.get((slot, value), value)}"


def read_woz(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """Multilingual WoZ 2.0: a list of dialogues, each a list of turns with labels and belief states.

    Roles: `dialogues`; `ontology`, the language's; `english`, the ontology whose names labels get. Values keep their
    white space and their mistakes: the release's own states have them too.

    `options`: `dontcare`: language -> its word for the value that is in no ontology; `same`: value -> another spelling
    of it that the ontology has (the reference takes `center` for `centre`); `acts`: language -> its words for `request`
    and `inform`, which stand before a system act in what a model reads.
    """
    names = _names(_json(files["ontology"], place), _json(files["english"], place), options, place)
    request, inform = options["acts"][place.language]
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for dialogue in _json(files["dialogues"], place):
        name = str(dialogue["dialogue_idx"])
        for turn in dialogue["dialogue"]:
            state = [pair for belief in turn["belief_state"] if belief["act"] == "inform" for pair in belief["slots"]]
            acts = [
                f"{request} {act}" if isinstance(act, str) else f"{inform} {act[0]} = {act[1]}"
                for act in turn["system_acts"]
            ]
            columns["id"].append(f"{name}-{turn['turn_idx']}")
            columns["dialogue"].append(name)
            columns["turn"].append(turn["turn_idx"])
            columns["system"].append(turn["system_transcript"])
            columns["acts"].append(acts)
            columns["text"].append(turn["transcript"])
            columns["labels"].append(sorted(names.label(*pair) for pair in turn["turn_label"]))
            columns["state"].append(sorted(names.label(*pair) for pair in state))
    yield Chunk(columns=columns, file=files["dialogues"])


def _names(own: Any, english: Any, options: Options, place: Place) -> _Names:
    """Pairs the names of two ontologies by their places.

    Raises:
        ValueError: they have not as many slots or values.
    """
    slots = {
        mine: theirs for mine, theirs in zip(own["informable"], english["informable"], strict=True) if mine != REQUEST
    }
    values = {
        (slot, mine): theirs
        for slot, name in slots.items()
        for mine, theirs in zip(own["informable"][slot], english["informable"][name], strict=True)
    }
    dontcare = options["dontcare"][place.language]
    return _Names(
        slots=slots,
        values={**values, **{(slot, dontcare): DONTCARE for slot in slots}},
        requests=dict(zip(own["requestable"], english["requestable"], strict=True)),
        same=options.get("same", {}),
    )


def read_multiwoz(files: Files, options: Options, place: Place) -> Iterator[Chunk]:
    """Parallel MultiWOZ: dialogue -> `log`, in which the user and the system take turns.

    A system's entry has in `metadata` the state after the user's turn before it: domain -> `semi` and `book`, slot ->
    value. A slot is `domain-slot`, with `book` before those of `book` (`booked` is none). A turn's labels are the slots
    whose value it changes; one that is taken back has no label, so that such a turn falls short of its state. The system
    acts are the system's words before the turn: the release's trackers read those.

    `options`: `unmentioned`: values that say that a slot has none; `same`: value -> another that the ontology has;
    `book`: what stands before the slots of `book` (`book ` or its translation).
    """
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for name, dialogue in _json(files["dialogues"], place).items():
        log, before, said = dialogue["log"], dict[str, str](), ""
        if len(log) % _USER_AND_SYSTEM:
            raise place.error(f"dialogue {name!r} does not end with the system's turn", files["dialogues"])
        for turn, (user, system) in enumerate(zip(log[::_USER_AND_SYSTEM], log[1::_USER_AND_SYSTEM], strict=True)):
            state = _state(system["metadata"], options)
            changed = {slot: value for slot, value in state.items() if before.get(slot) != value}
            columns["id"].append(f"{name}-{turn}")
            columns["dialogue"].append(name)
            columns["turn"].append(turn)
            columns["system"].append(said)
            columns["acts"].append([said] if said else [])
            columns["text"].append(" ".join(user["text"].split()))
            columns["labels"].append(as_labels(changed))
            columns["state"].append(as_labels(state))
            before, said = state, " ".join(system["text"].split())
    yield Chunk(columns=columns, file=files["dialogues"])


def _state(metadata: Mapping[str, Any], options: Options) -> dict[str, str]:
    """Slot -> value of a belief state, without the slots that are not mentioned."""
    unmentioned, same = frozenset(options["unmentioned"]), options.get("same", {})
    pairs = [
        (f"{domain}-{before}{slot}", value.strip())
        for domain, parts in metadata.items()
        for part, before in (("semi", ""), ("book", options["book"]))
        for slot, value in parts[part].items()
        if slot != "booked"
    ]
    return {slot: same.get(value, value) for slot, value in pairs if value not in unmentioned}


def _json(path: Path, place: Place) -> Any:
    try:
        return json.loads(content(path, place, mark=b'"'))
    except json.JSONDecodeError as error:
        raise place.error(f"not JSON: {error}", path) from None
