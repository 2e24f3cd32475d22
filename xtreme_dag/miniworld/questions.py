"""Questions over several sentences: answers as spans, and causes or effects among choices."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from xtreme_dag.miniworld.grammar import Word, layout, question, sentence, text
from xtreme_dag.miniworld.lexicon import lexicon
from xtreme_dag.miniworld.meanings import balanced, distinct, events
from xtreme_dag.miniworld.world import DOMAINS, VERBS, Event, cause_of, draw_event, draw_thing, effect_of

ROLES = ("subject", "object", "place")
TOPICS = ("food", "vehicle", "tool", "garment")  # the title of a paragraph of each domain
# The template of XCOPA's reference script, in English whatever the language.
TEMPLATES = {"cause": "What was the cause?", "effect": "What was the effect?"}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A question about a paragraph.

    Attributes:
        sentences: the events of the paragraph, in order.
        asked: the event that the question is about.
        told: the place of `asked` among `sentences`; -1 when the paragraph does not tell it.
        role: what the question asks for: `subject`, `object` or `place`.
    """

    sentences: tuple[Event, ...]
    asked: Event
    told: int
    role: str


def readings(rng: random.Random, split: str, unanswerable: float) -> Iterator[Reading]:
    """Infinite stream of paragraphs with a question.

    All verbs of a paragraph differ, so the question fits one sentence; where it has no answer, its verb is in none.

    Args:
        rng: the source of randomness.
        split: the split's name.
        unanswerable: the share of questions without an answer.
    """
    stream = events(rng, split, modifiers=0.3, places=1.0, manners=0.0, perfect=0.0, negated=0.0)
    for asked, role in zip(stream, balanced(rng, len(ROLES)), strict=False):
        absent = rng.random() < unanswerable
        verbs = {asked.verb}
        others: list[Event] = []
        while len(others) < 1 + absent:
            other = draw_event(rng, asked.domain, modifiers=0.3, places=1.0, manners=0.0, perfect=0.0, negated=0.0)
            if other.verb not in verbs:
                verbs.add(other.verb)
                others.append(other)
        place = -1 if absent else rng.randrange(len(others) + 1)
        told = tuple(others) if absent else (*others[:place], asked, *others[place:])
        yield Reading(sentences=told, asked=asked, told=place, role=ROLES[role])


@dataclass(frozen=True, kw_only=True)
class ReadingText:
    """A reading in one language; `answer` and `start` (code points) are empty and -1 without an answer."""

    title: str
    context: str
    question: str
    answer: str
    start: int


def told(reading: Reading, code: str) -> ReadingText:
    """The paragraph, the question and where the answer stands, in one language."""
    words: list[Word] = []
    answered: list[int] = []
    for index, event in enumerate(reading.sentences):
        for one in sentence(event, code):
            if index == reading.told and one.role == reading.role:
                answered.append(len(words))
            words.append(one)
    context, spans = layout(words, code)
    start, end = (spans[answered[0]][0], spans[answered[-1]][1]) if answered else (-1, -1)
    return ReadingText(
        title=lexicon(code).stems[TOPICS[reading.asked.domain]],
        context=context,
        question=text(question(reading.asked, reading.role, code), code),
        answer=context[start:end] if answered else "",
        start=start,
    )


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What caused it, or what it brought about: one of several events that differ in their verb alone.

    Attributes:
        event: what is told.
        relation: `cause` or `effect`.
        options: the events to choose from.
        right: the place of the right one.
    """

    event: Event
    relation: str
    options: tuple[Event, ...]
    right: int


def choices(rng: random.Random, split: str, count: int) -> Iterator[Choice]:
    """Infinite stream of cause and effect questions with `count` options, the right one at each place equally often."""

    def draw() -> Event:
        return draw_event(rng, rng.randrange(DOMAINS), modifiers=0.2, places=0.1, manners=0.0, perfect=0.0, negated=0.0)

    for event, right in zip(distinct(draw, split), balanced(rng, count), strict=False):
        relation = rng.choice(("cause", "effect"))
        verb = cause_of(event.verb) if relation == "cause" else effect_of(event.verb)
        wrong = rng.sample([other for other in VERBS if other not in (verb, event.verb)], count - 1)
        verbs = [*wrong[:right], verb, *wrong[right:]]
        thing = draw_thing(rng, event.domain, animate=0.3, modifiers=0.2)
        outcome = replace(event, object=thing, adposition="", place=None)
        yield Choice(
            event=event,
            relation=relation,
            options=tuple(replace(outcome, verb=option) for option in verbs),
            right=right,
        )
