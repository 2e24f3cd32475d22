"""The small world that every miniworld language talks about: concepts, how they relate, and what happens.

A concept is named by its English word; a name that starts with `#` is a grammatical feature or a punctuation mark.
The relations are the gold labels' source: antonyms (contradiction), causes (multiple choice), kinds (entailment),
domains (what tends to occur together, so that masked words can be guessed).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

ANIMALS = ("horse", "goat", "duck", "gull", "seal", "crab", "dog", "cat", "rat", "pigeon", "parrot", "snail")
WORKERS = ("farmer", "miller", "shepherd", "sailor", "pilot", "driver",
           "mason", "smith", "carpenter", "teacher", "singer", "doctor")  # fmt: skip
FOODS = ("apple", "onion", "carrot", "pear", "lemon", "melon")
VEHICLES = ("boat", "wagon", "truck", "raft", "bicycle", "tractor")
TOOLS = ("hammer", "ladder", "shovel", "rope", "basket", "bucket")
GARMENTS = ("coat", "hat", "scarf", "glove", "belt", "shirt")
KINDS = {"animal": ANIMALS, "worker": WORKERS, "food": FOODS, "vehicle": VEHICLES, "tool": TOOLS, "garment": GARMENTS}

# Antonyms are neighbours: 2k and 2k + 1. Six verbs and six adjectives to a domain.
VERBS = ("bought", "sold", "washed", "soiled", "praised", "blamed",
         "followed", "avoided", "loaded", "emptied", "welcomed", "ignored",
         "lifted", "dropped", "repaired", "damaged", "pushed", "pulled",
         "loved", "hated", "found", "lost", "covered", "uncovered")  # fmt: skip
ADJECTIVES = ("sweet", "bitter", "fresh", "rotten", "clean", "dirty",
              "fast", "slow", "wet", "dry", "empty", "full",
              "heavy", "light", "strong", "weak", "sharp", "blunt",
              "rich", "poor", "big", "small", "old", "young")  # fmt: skip
PLACES = ("field", "barn", "mill", "harbour", "bridge", "station",
          "yard", "cellar", "tower", "market", "school", "park")  # fmt: skip
ADVERBS = ("today", "yesterday", "often", "seldom", "quickly", "slowly")
NUMERALS = ("two", "three", "four", "five", "six", "seven")
ADPOSITIONS = ("in", "near", "behind")
GIVEN_NAMES = ("Mira", "Tomen", "Lesa", "Okar", "Dalia", "Rufin", "Senna", "Vilem", "Junia", "Pavo", "Iselin", "Goran")
FAMILY_NAMES = ("Tavel", "Brosk", "Lindar", "Morgat", "Hulen", "Sarvik", "Peltan", "Dorsin", "Kestra", "Walmer",
                "Ostrel", "Finbak")  # fmt: skip
TOWNS = ("Arvale", "Bresk", "Corvun", "Dalmot", "Elsin", "Fornau", "Gelpor", "Hintra", "Istok", "Jarmel", "Kolvi",
         "Lumbrek")  # fmt: skip
FIRMS = ("Tavex", "Orbin", "Quelm", "Zentor", "Rubal", "Novik", "Simto", "Prado")
FIRM_KINDS = ("Bank", "Works")
TOWN_KINDS = ("Lake", "Mount")
DETERMINERS = ("the", "this")
QUESTION_WORDS = ("who", "what", "where")
FUNCTION_WORDS = ("had", "never", "and", "but", "because", "yes", "no", "hello", "was", "cause", "effect", "is", "a")
FEATURES = ("#plural", "#accusative", "#locative", "#perfect")

_NOUN_GROUPS = (ANIMALS, WORKERS, FOODS, VEHICLES, TOOLS, GARMENTS, tuple(KINDS), PLACES)
NOUNS = tuple(word for group in _NOUN_GROUPS for word in group)
NAMES = GIVEN_NAMES + FAMILY_NAMES + TOWNS + FIRMS + FIRM_KINDS + TOWN_KINDS
WORDS = (
    NOUNS
    + VERBS
    + ADJECTIVES
    + ADVERBS
    + NUMERALS
    + ADPOSITIONS
    + DETERMINERS
    + QUESTION_WORDS
    + FUNCTION_WORDS
    + NAMES
)

DOMAINS = 4
_THINGS = (FOODS, VEHICLES, TOOLS, GARMENTS)
COHERENCE = 0.8  # how often a word comes from its sentence's domain


@dataclass(frozen=True, kw_only=True)
class Thing:
    """A participant: a common noun with its modifiers, or a name (`name` holds one or two words, `entity` its type)."""

    noun: str = ""
    adjective: str = ""
    determiner: str = "the"
    numeral: str = ""
    plural: bool = False
    name: tuple[str, ...] = ()
    entity: str = ""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One fact: who did what to what, perhaps where and how. The meaning of one clause in every language."""

    domain: int
    subject: Thing
    verb: str
    object: Thing
    adposition: str = ""
    place: Thing | None = None
    adverb: str = ""
    perfect: bool = False
    negated: bool = False
    place_first: bool = False


def antonym(word: str) -> str:
    """The opposite of a verb or an adjective."""
    group = VERBS if word in VERBS else ADJECTIVES
    return group[group.index(word) ^ 1]


def effect_of(verb: str) -> str:
    """What an event of this verb brings about: the world's causal law, a permutation without short cycles."""
    return VERBS[(VERBS.index(verb) + 7) % len(VERBS)]


def cause_of(verb: str) -> str:
    """The inverse of `effect_of`."""
    return VERBS[(VERBS.index(verb) - 7) % len(VERBS)]


def _slice(group: tuple[str, ...], domain: int) -> tuple[str, ...]:
    size = len(group) // DOMAINS
    return group[domain * size : (domain + 1) * size]


def word_class(concept: str) -> str:
    """The word class of a concept, as far as words of one class occur in the same places."""
    classes = {"noun": NOUNS, "verb": VERBS, "adjective": ADJECTIVES, "adverb": ADVERBS, "numeral": NUMERALS,
               "adposition": ADPOSITIONS, "name": NAMES, "question word": QUESTION_WORDS}  # fmt: skip
    return next(
        (name for name, words in classes.items() if concept in words), concept if concept[0] == "#" else "other"
    )


def peers(word: str) -> tuple[str, ...]:
    """The words of the same group that are exactly as likely as this one in every sentence, itself among them."""
    for group in (VERBS, ADJECTIVES, ANIMALS, WORKERS):
        if word in group:
            size = len(group) // DOMAINS
            return _slice(group, group.index(word) // size)
    return next(things for things in _THINGS if word in things)


def pick(rng: random.Random, group: tuple[str, ...], domain: int) -> str:
    """A word of a group, mostly one of the domain's own share of it."""
    return rng.choice(_slice(group, domain)) if rng.random() < COHERENCE else rng.choice(group)


def draw_noun(rng: random.Random, domain: int, *, animate: float) -> str:
    """A common noun: animate (an animal or a worker) with that probability, else a thing."""
    if rng.random() < animate:
        return pick(rng, ANIMALS if rng.random() < 0.5 else WORKERS, domain)
    return rng.choice(_THINGS[domain] if rng.random() < COHERENCE else _THINGS[rng.randrange(DOMAINS)])


def draw_name(rng: random.Random, entity: str) -> Thing:
    """A named entity: a person (two words), an organisation (two) or a location (one or two)."""
    if entity == "PER":
        return Thing(name=(rng.choice(GIVEN_NAMES), rng.choice(FAMILY_NAMES)), entity="PER")
    if entity == "ORG":
        return Thing(name=(rng.choice(FIRMS), rng.choice(FIRM_KINDS)), entity="ORG")
    town = rng.choice(TOWNS)
    return Thing(name=(rng.choice(TOWN_KINDS), town) if rng.random() < 0.3 else (town,), entity="LOC")


def draw_thing(rng: random.Random, domain: int, *, animate: float, names: float = 0.0, modifiers: float = 0.5) -> Thing:
    """A participant of an event.

    Args:
        rng: the source of randomness.
        domain: 0 to DOMAINS - 1.
        animate: the probability of an animal or a worker rather than a thing.
        names: the probability of a person's or an organisation's name instead of a common noun.
        modifiers: the probability of an adjective; a third of it is that of a numeral, and of a bare plural.
    """
    if names and rng.random() < names:
        return draw_name(rng, "PER" if rng.random() < 0.6 else "ORG")
    noun = draw_noun(rng, domain, animate=animate)
    adjective = pick(rng, ADJECTIVES, domain) if rng.random() < modifiers else ""
    if rng.random() < modifiers / 3:
        return Thing(noun=noun, adjective=adjective, determiner="", numeral=rng.choice(NUMERALS), plural=True)
    plural = rng.random() < modifiers / 3
    this = not plural and rng.random() < 0.15
    return Thing(noun=noun, adjective=adjective, determiner="this" if this else "the", plural=plural)


def draw_place(rng: random.Random, domain: int, *, names: float = 0.0) -> Thing:
    """Where something happens: a common place or, with probability `names`, a named one."""
    return draw_name(rng, "LOC") if rng.random() < names else Thing(noun=pick(rng, PLACES, domain))


def draw_event(
    rng: random.Random,
    domain: int,
    *,
    names: float = 0.0,
    modifiers: float = 0.5,
    places: float = 0.3,
    manners: float = 0.2,
    perfect: float = 0.2,
    negated: float = 0.1,
) -> Event:
    """Draws one event; every argument after `domain` is the probability of what it names."""
    placed = rng.random() < places
    return Event(
        domain=domain,
        subject=draw_thing(rng, domain, animate=1.0, names=names, modifiers=modifiers),
        verb=pick(rng, VERBS, domain),
        object=draw_thing(rng, domain, animate=0.3, names=names / 2, modifiers=modifiers),
        adposition=rng.choice(ADPOSITIONS) if placed else "",
        place=draw_place(rng, domain, names=names) if placed else None,
        adverb=rng.choice(ADVERBS) if rng.random() < manners else "",
        perfect=rng.random() < perfect,
        negated=rng.random() < negated,
    )
