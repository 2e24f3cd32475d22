"""Plain text, dialogues, and pools of sentences to be mined for translations."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from xtreme_dag.miniworld.grammar import Word, clause, mark, question, sentence, word
from xtreme_dag.miniworld.meanings import distinct, part, part_of
from xtreme_dag.miniworld.world import DOMAINS, VERBS, Event, draw_event, pick


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a document: an event, told (`statement`), asked (`question`, about `role`) or answered (`reply`)."""

    document: int
    turn: int
    event: Event
    manner: str = "statement"
    role: str = ""
    opening: str = ""


def lines(rng: random.Random, split: str, *, dialogue: bool) -> Iterator[Line]:
    """Infinite stream of documents of 3 to 8 lines, each about one domain; in a dialogue, questions and their replies too."""
    domain = [0]

    def draw() -> Event:
        return draw_event(rng, domain[0], names=0.1)

    stream = distinct(draw, split)
    document = 0
    while True:
        domain[0] = rng.randrange(DOMAINS)
        length, turn = rng.randint(3, 8), 0
        while turn < length:
            event = next(stream)
            if dialogue and rng.random() < 0.4 and turn + 1 < length:
                role = rng.choice(("subject", "object") if event.place is None else ("subject", "object", "place"))
                yield Line(document=document, turn=turn, event=event, manner="question", role=role)
                yield Line(document=document, turn=turn + 1, event=event, manner="reply", role=role)
                turn += 2
            else:
                opening = rng.choice(("hello", "yes", "no")) if dialogue and rng.random() < 0.3 else ""
                yield Line(document=document, turn=turn, event=event, opening=opening)
                turn += 1
        document += 1


def words_of(line: Line, code: str) -> list[Word]:
    """The words of a line in one language; a reply is the participant that the question asked for."""
    if line.manner == "question":
        return question(line.event, line.role, code)
    if line.manner == "reply":
        return [*(one for one in clause(line.event, code) if one.role == line.role), mark("#stop", code)]
    opening = [word(line.opening, "INTJ", code), mark("#comma", code)] if line.opening else []
    return [*opening, *sentence(line.event, code)]


def translations(rng: random.Random, split: str) -> Iterator[Event]:
    """Infinite stream of distinct events for aligned sentences."""
    return distinct(lambda: draw_event(rng, rng.randrange(DOMAINS), names=0.1), split)


def near(rng: random.Random, event: Event) -> Event:
    """A sentence that resembles an event and is not its translation: another verb."""
    verb = event.verb
    while verb == event.verb:
        verb = pick(rng, VERBS, event.domain)
    return replace(event, verb=verb)


@dataclass(frozen=True, kw_only=True)
class Pools:
    """What is mined: events of the foreign pool and of the English one, and which of them are translations.

    Attributes:
        foreign: the foreign pool.
        english: the English pool, in an order of its own.
        pairs: (place in `foreign`, place in `english`) of the translations.
    """

    foreign: tuple[Event, ...]
    english: tuple[Event, ...]
    pairs: tuple[tuple[int, int], ...]


def pools(rng: random.Random, split: str, rows: int) -> Pools:
    """Two pools of `rows` sentences together; half of the smaller one has a translation in the other.

    One distractor in four resembles a sentence that has a translation.
    """
    stream = translations(rng, split)
    foreign_size, english_size = rows // 2, rows - rows // 2
    common = [next(stream) for _ in range(foreign_size // 2)]
    known = set(common)

    def distractors(count: int) -> list[Event]:
        found: list[Event] = []
        while len(found) < count:
            other = near(rng, rng.choice(common)) if common and rng.random() < 0.25 else next(stream)
            if other not in known and part_of(other) == part(split):
                known.add(other)
                found.append(other)
        return found

    foreign = [*common, *distractors(foreign_size - len(common))]
    english = [*common, *distractors(english_size - len(common))]
    rng.shuffle(foreign)
    rng.shuffle(english)
    places = {event: place for place, event in enumerate(english)}
    pairs = tuple((place, places[event]) for place, event in enumerate(foreign) if event in places)
    return Pools(foreign=tuple(foreign), english=tuple(english), pairs=pairs)
