"""Dialogues about what somebody wants: slots, values and requests of an ontology, said in the words of the world.

A slot is a kind or a place of the world and a value a thing, with an adjective where there are more values than things:
what is said of them ("the hammer is a tool") names both. After the system's question for a slot the answer is the
value alone. Each turn begins with small talk, an event of its own, so that no two turns are alike.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xtreme_dag.catalogue.miniworld_languages import language_of
from xtreme_dag.core.dialogue import DONTCARE, NONE, REQUEST, Ontology, as_labels, ontology
from xtreme_dag.miniworld.grammar import Word, copula, mark, noun_phrase, sentence, word
from xtreme_dag.miniworld.meanings import distinct
from xtreme_dag.miniworld.world import ADJECTIVES, DOMAINS, KINDS, PLACES, Event, Thing, draw_event

DEFAULT = (
    *(f"tool={value}" for value in KINDS["tool"]),
    *(f"garment={value}" for value in KINDS["garment"]),
    f"{REQUEST}=vehicle", f"{REQUEST}=food",
)  # fmt: skip
"""The label set of a dataset with an open one."""
_THINGS = tuple(thing for things in KINDS.values() for thing in things)
_SLOTS = (*KINDS, *PLACES)  # the words for slots
_TURNS = (3, 6)
_NEW, _ASKED, _ANY = (
    0.6,
    0.4,
    0.1,
)  # shares: of open slots that a turn fills, of turns that ask, of values that may be any


@dataclass(frozen=True, kw_only=True)
class Said:
    """A turn.

    Attributes:
        dialogue, turn: where it stands.
        talk: the small talk.
        asked: the slot that the system asked for before; "" for none.
        told: slot -> value that the user tells.
        requests: slots that the user asks for.
        state: slot -> value, all that was told.
    """

    dialogue: int
    turn: int
    talk: Event
    asked: str
    told: dict[str, str]
    requests: tuple[str, ...]
    state: dict[str, str]

    @property
    def labels(self) -> list[str]:
        """The labels of the turn, sorted."""
        return sorted([*as_labels(self.told), *(f"{REQUEST}={slot}" for slot in self.requests)])


def turns(rng: random.Random, split: str, known: Ontology) -> Iterator[Said]:
    """Infinite stream of the turns of dialogues; the first values of a slot are the most frequent ones."""
    stream = distinct(lambda: draw_event(rng, rng.randrange(DOMAINS), names=0.1), split)
    dialogue = 0
    while True:
        state: dict[str, str] = {}
        asked = ""
        for turn in range(rng.randint(*_TURNS)):
            open_slots = [slot for slot in known.classes if slot not in state]
            told = {slot: _value(rng, known, slot) for slot in open_slots if slot == asked or rng.random() < _NEW / 2}
            requests = tuple(slot for slot in known.requests if rng.random() < _ASKED / len(known.requests))
            state = {**state, **told}
            yield Said(dialogue=dialogue, turn=turn, talk=next(stream), asked=asked, told=told, requests=requests, state=state)  # fmt: skip
            missing = [slot for slot in known.classes if slot not in state]
            asked = rng.choice(missing) if missing and rng.random() < _NEW else ""
        dialogue += 1


def _value(rng: random.Random, known: Ontology, slot: str) -> str:
    values = [value for value in known.classes[slot] if value not in (NONE, DONTCARE)]
    return DONTCARE if rng.random() < _ANY else values[int(len(values) * rng.random() ** 2)]


def labels_known(labels: Sequence[str] | None) -> Ontology:
    """The ontology of a dataset, or the default one where its label set is open."""
    return ontology(labels or DEFAULT)


def user_words(said: Said, known: Ontology, code: str) -> list[Word]:
    """What the user says, in one language."""
    words = sentence(said.talk, code)
    for slot, value in said.told.items():
        if value == DONTCARE:
            words += [word("often", "ADV", code), *_named(_slot(known, slot), code), mark("#stop", code)]
        elif slot == said.asked:
            words += [*noun_phrase(_thing(known, slot, value), language_of(code)), mark("#stop", code)]
        else:
            words += copula(_thing(known, slot, value), _slot(known, slot), code)
    for slot in said.requests:
        words += [word("where", "ADV", code), *_named(_requested(known, slot), code), mark("#question", code)]
    return words


def system_words(said: Said, known: Ontology, code: str) -> list[Word]:
    """What the system asked before, in one language; nothing if it did not ask."""
    return [word("what", "PRON", code), *_named(_slot(known, said.asked), code)] if said.asked else []


def _named(noun: str, code: str) -> list[Word]:
    return noun_phrase(Thing(noun=noun), language_of(code))


def _slot(known: Ontology, slot: str) -> str:
    return _SLOTS[list(known.classes).index(slot) % len(_SLOTS)]


def _requested(known: Ontology, slot: str) -> str:
    return _SLOTS[-1 - known.requests.index(slot) % len(_SLOTS)]


def _thing(known: Ontology, slot: str, value: str) -> Thing:
    """What stands for a value: the things in order, then each with the first adjective, the second, ..."""
    place = known.classes[slot].index(value) - 2  # after none and dontcare
    turn, thing = divmod(place, len(_THINGS))
    return Thing(noun=_THINGS[thing], adjective=ADJECTIVES[(turn - 1) % len(ADJECTIVES)] if turn else "")
