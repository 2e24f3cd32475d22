"""Sentence pairs: inference in three labels, paraphrase in two.

One sentence alone says nothing about the label. The second sentence is drawn before the label is; the first is made
from it by a change whose result is distributed as what it was made from.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from xtreme_dag.core.errors import UserError
from xtreme_dag.miniworld.meanings import balanced, distinct, events
from xtreme_dag.miniworld.world import (
    ADJECTIVES,
    ADPOSITIONS,
    ADVERBS,
    DOMAINS,
    Event,
    antonym,
    draw_event,
    draw_noun,
    draw_place,
    peers,
    pick,
)

ADJECTIVE_SHARE = 0.25
INFERENCE = ("contradiction", "entailment", "neutral")


def _replaced(rng: random.Random, word: str, *, opposite: bool) -> str:
    """The antonym of a verb or an adjective, or another one that is neither it nor its antonym.

    Both ways the new word is distributed as the old one was.
    """
    contrary = antonym(word)
    return contrary if opposite else rng.choice([other for other in peers(word) if other not in (word, contrary)])


def _changed(rng: random.Random, event: Event, *, opposite: bool) -> Event:
    """The event with another verb, or one time in four, where it can be, with another adjective of the object."""
    if event.object.adjective and rng.random() < ADJECTIVE_SHARE:
        adjective = _replaced(rng, event.object.adjective, opposite=opposite)
        return replace(event, object=replace(event.object, adjective=adjective))
    return replace(event, verb=_replaced(rng, event.verb, opposite=opposite))


def _elaborated(rng: random.Random, event: Event) -> Event:
    """The event told in more detail: it entails the event itself."""
    subject = event.subject
    if not subject.adjective and rng.random() < 0.4:
        subject = replace(subject, adjective=pick(rng, ADJECTIVES, event.domain))
    placed = event.place is None and rng.random() < 0.4
    return replace(
        event,
        subject=subject,
        adverb=event.adverb or (rng.choice(ADVERBS) if rng.random() < 0.3 else ""),
        adposition=rng.choice(ADPOSITIONS) if placed else event.adposition,
        place=draw_place(rng, event.domain) if placed else event.place,
    )


def inference(rng: random.Random, split: str) -> Iterator[tuple[Event, Event, str]]:
    """Infinite stream of premises, hypotheses and labels.

    Entailment: the premise tells the hypothesis, with more detail. Contradiction: a word is its opposite. Neutral: a
    word is another one, which neither follows nor is excluded.
    """
    hypotheses = events(rng, split, modifiers=0.35, places=0.15, manners=0.0, perfect=0.15, negated=0.0)
    for hypothesis, index in zip(hypotheses, balanced(rng, 3), strict=False):
        label = INFERENCE[index]
        told = hypothesis if label == "entailment" else _changed(rng, hypothesis, opposite=label == "contradiction")
        yield _elaborated(rng, told), hypothesis, label


def _swapped(event: Event) -> Event:
    return replace(event, subject=event.object, object=event.subject)


def _with_other_subject(rng: random.Random, event: Event) -> Event:
    nouns = [noun for noun in peers(event.subject.noun) if noun not in (event.subject.noun, event.object.noun)]
    return replace(event, subject=replace(event.subject, noun=rng.choice(nouns)))


def paraphrase(rng: random.Random, split: str) -> Iterator[tuple[Event, Event, bool]]:
    """Infinite stream of pairs of events and whether they say the same.

    Both participants are animate and placed, so that a pair that differs by who did it has the very same words as one
    that only moves the place to the front. One negative in two is of that sort, the other changes the participant.
    """

    def draw() -> Event:
        event = draw_event(rng, rng.randrange(DOMAINS), modifiers=0.35, places=1.0, manners=0.0, negated=0.0)
        return replace(event, object=replace(event.object, noun=draw_noun(rng, event.domain, animate=1.0)))

    asymmetric = (event for event in distinct(draw, split) if event.subject.noun != event.object.noun)
    for event, same in zip(asymmetric, balanced(rng, 2), strict=False):
        told = replace(event, place_first=rng.random() < 0.5)
        if not same:
            told = _swapped(told) if rng.random() < 0.5 else _with_other_subject(rng, told)
        yield told, event, bool(same)


def label_names(labels: Sequence[str] | None) -> tuple[str, ...]:
    """The legal labels in the order of `INFERENCE`, or (different, same) for two.

    Raises:
        UserError: the labels are neither three of inference nor two.
    """
    if labels is None:
        return INFERENCE
    if len(labels) == 3:
        found = [next((label for label in labels if label.lower().startswith(name[:6])), "") for name in INFERENCE]
        if all(found):
            return tuple(found)
    if len(labels) == 2:
        negative = [
            label for label in labels if label.lower().startswith(("not", "non", "different", "no")) or label == "0"
        ]
        if len(negative) == 1:
            return (negative[0], next(label for label in labels if label != negative[0]))
    raise UserError(
        f"labels {list(labels)} are no labels of inference or paraphrase", where="miniworld pair_classification",
        fix="contradiction, entailment, neutral; or 0, 1",
    )  # fmt: skip
