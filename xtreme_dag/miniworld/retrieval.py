"""Retrieval with one right answer: sentences that answer questions, entities that mentions name."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from xtreme_dag.catalogue.miniworld_languages import language_of
from xtreme_dag.core.errors import UserError
from xtreme_dag.miniworld.grammar import Word, copula, layout, noun_phrase, sentence, text
from xtreme_dag.miniworld.meanings import balanced, events, part, part_of
from xtreme_dag.miniworld.questions import ROLES
from xtreme_dag.miniworld.world import DOMAINS, FAMILY_NAMES, GIVEN_NAMES, TOWNS, WORKERS, Event, Thing, draw_event

PARAGRAPH = 3  # candidate sentences to a paragraph


@dataclass(frozen=True, kw_only=True)
class AnswerPool:
    """Candidate sentences and questions about some of them.

    Attributes:
        candidates: one event each; every `PARAGRAPH` of them are one paragraph.
        questions: (place of the candidate that answers, the role asked for).
    """

    candidates: tuple[Event, ...]
    questions: tuple[tuple[int, str], ...]


def _blanked(event: Event, role: str) -> Event:
    """What a question about one participant says of an event."""
    if role == "place":
        return replace(event, place=None, adposition="", adverb="")
    if role == "subject":
        return replace(event, subject=Thing(), adverb="")
    return replace(event, object=Thing(), adverb="")


def answer_pool(rng: random.Random, split: str, rows: int) -> AnswerPool:
    """`rows` questions and candidates together, at least as many candidates as questions.

    No two candidates answer the same question: they differ in more than any one participant.
    """
    count = rows // 2
    stream = events(rng, split, modifiers=0.3, places=1.0, manners=0.0, negated=0.0)
    candidates: list[Event] = []
    asked: set[Event] = set()
    while len(candidates) < rows - count:
        event = next(stream)
        ways = {_blanked(event, role) for role in ROLES}
        if not ways & asked:
            asked |= ways
            candidates.append(event)
    places = rng.sample(range(len(candidates)), count)
    roles = balanced(rng, len(ROLES))
    return AnswerPool(candidates=tuple(candidates), questions=tuple((place, ROLES[next(roles)]) for place in places))


def paragraph(pool: AnswerPool, place: int, code: str) -> str:
    """The paragraph that a candidate stands in, in one language."""
    first = place - place % PARAGRAPH
    words = [one for event in pool.candidates[first : first + PARAGRAPH] for one in sentence(event, code)]
    return text(words, code)


@dataclass(frozen=True, kw_only=True)
class Person:
    """An entity: a person with a profession and a home town; the three together are unique in a pool."""

    given: str
    family: str
    work: str
    town: str

    @property
    def full(self) -> Thing:
        """The full name."""
        return Thing(name=(self.given, self.family), entity="PER")

    @property
    def short(self) -> Thing:
        """The family name alone."""
        return Thing(name=(self.family,), entity="PER")


@dataclass(frozen=True, kw_only=True)
class Mention:
    """A mention of `people[person]` in what `event` tells, by family name (`short`) or in full."""

    person: int
    event: Event
    short: bool


@dataclass(frozen=True, kw_only=True)
class EntityPool:
    """Entities, what each of them once did, and mentions of some of them."""

    people: tuple[Person, ...]
    deeds: tuple[Event, ...]
    mentions: tuple[Mention, ...]


def entity_pool(rng: random.Random, split: str, rows: int) -> EntityPool:
    """`rows` mentions and entities together, at least as many entities as mentions.

    Names repeat; family name and profession, which every mention's sentence tells, name one entity alone as long as
    they can (144 entities), then given name, family name and profession do.

    Raises:
        UserError: more entities than the world's names can tell apart.
    """
    count = rows - rows // 2
    keys = [(given, family, work) for given in GIVEN_NAMES for family in FAMILY_NAMES for work in WORKERS]
    keys = [key for key in keys if part_of(key) == part(split)]
    if count > len(keys):
        raise UserError(f"the miniworld can tell {len(keys)} people apart, not {count}",
                        where=f"miniworld entity_linking {split}", fix=f"ask for at most {2 * len(keys)} rows")  # fmt: skip
    rng.shuffle(keys)
    # One person of every (family, profession) first: their family name is enough.
    first = list({key[1:]: key for key in keys}.values())
    chosen = (first + [key for key in keys if key not in set(first)])[:count]
    people = tuple(Person(given=key[0], family=key[1], work=key[2], town=rng.choice(TOWNS)) for key in chosen)
    alone = {(one.family, one.work) for one in people[: len(first)]} - {
        (one.family, one.work) for one in people[len(first) :]
    }
    deeds = [replace(draw_event(rng, rng.randrange(DOMAINS), negated=0.0), subject=one.full) for one in people]
    mentions = []
    for _ in range(rows // 2):
        person = rng.randrange(len(people))
        event = draw_event(rng, rng.randrange(DOMAINS), places=0.2, manners=0.0, negated=0.0)
        short = (people[person].family, people[person].work) in alone and rng.random() < 0.5
        mentions.append(Mention(person=person, event=event, short=short))
    return EntityPool(people=people, deeds=tuple(deeds), mentions=tuple(mentions))


def described(person: Person, deed: Event, code: str) -> tuple[str, str]:
    """An entity in one language: its name, and two sentences: what it is, and what it once did and where."""
    name = text(noun_phrase(person.full, language_of(code)), code)
    home = replace(deed, adposition="in", place=Thing(name=(person.town,), entity="LOC"), adverb="")
    return name, text([*copula(person.full, person.work, code), *sentence(home, code)], code)


def mentioned(mention: Mention, person: Person, code: str) -> tuple[str, str]:
    """A mention in one language: its surface, and two sentences in which braces stand around it."""
    thing = person.short if mention.short else person.full
    first = copula(thing, person.work, code)
    event = replace(mention.event, subject=thing)
    words = [*first, *sentence(event, code)]
    inside = _first_name(first)
    written, spans = layout(words, code)
    low, high = spans[inside[0]][0], spans[inside[-1]][1]
    return written[low:high], f"{written[:low]}{{{written[low:high]}}}{written[high:]}"


def _first_name(words: list[Word]) -> list[int]:
    return [index for index, one in enumerate(words) if one.role == "subject"]
