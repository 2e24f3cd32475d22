"""Tagged sentences: universal parts of speech, entities in IOB2, or combinatory categories, as the labels ask."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from xtreme_dag.core.errors import UserError
from xtreme_dag.miniworld.grammar import Word, joined, sentence
from xtreme_dag.miniworld.meanings import distinct
from xtreme_dag.miniworld.world import DOMAINS, Event, draw_event

UPOS = ("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "NOUN", "NUM", "PRON", "PROPN", "PUNCT", "SCONJ", "VERB")
# Combinatory categories (CCGbank's spelling) of the words of a plain declarative clause.
_CATEGORIES = {
    "ADJ": "N/N", "ADP": "((S\\NP)\\(S\\NP))/NP", "ADV": "(S\\NP)\\(S\\NP)", "AUX": "(S[dcl]\\NP)/(S[pt]\\NP)",
    "CCONJ": "conj", "DET": "NP[nb]/N", "NOUN": "N", "NUM": "N/N", "PROPN": "N", "PUNCT": ".", "SCONJ": "((S\\NP)\\(S\\NP))/S[dcl]",
    "VERB": "(S[dcl]\\NP)/NP",
}  # fmt: skip


def _part_of_speech(one: Word) -> str:
    return one.tag


def _entity(one: Word) -> str:
    return one.entity


def _category(one: Word) -> str:
    return _CATEGORIES[one.tag]


def scheme(labels: Sequence[str] | None, dataset: str) -> Callable[[Word], str]:
    """How a word is tagged under these labels.

    Without labels (an open set) the dataset `ccg` is tagged with combinatory categories, any other with universal
    parts of speech.

    Raises:
        UserError: the labels hold none of the three tag sets.
    """
    if not labels:
        return _category if dataset == "ccg" else _part_of_speech
    if set(UPOS) <= set(labels):
        return _part_of_speech
    if {"O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"} <= set(labels):
        return _entity
    if set(_CATEGORIES.values()) <= set(labels):
        return _category
    raise UserError(
        f"{len(labels)} labels ({', '.join(list(labels)[:5])}, ...) are no tag set that the miniworld can derive",
        where="miniworld tagging", fix="universal parts of speech, PER/ORG/LOC in IOB2, or combinatory categories",
    )  # fmt: skip


def names_for(tag: Callable[[Word], str]) -> float:
    """How often a participant has a name: often where names are what is tagged."""
    return 0.5 if tag is _entity else 0.15


def tagged(rng: random.Random, split: str, names: float) -> Iterator[tuple[tuple[Event, ...], str]]:
    """Infinite stream of meanings of a sentence: one clause or two, and the word that links them.

    Args:
        rng: the source of randomness.
        split: the split's name.
        names: how often a participant has a name.
    """

    def draw() -> Event:
        return draw_event(rng, rng.randrange(DOMAINS), names=names, manners=0.3)

    stream = distinct(draw, split)
    for first in stream:
        if rng.random() < 0.3:
            yield (first, next(stream)), rng.choice(("and", "but", "because"))
        else:
            yield (first,), ""


def words_of(meaning: tuple[tuple[Event, ...], str], code: str) -> list[Word]:
    """The words of such a sentence in one language."""
    clauses, link = meaning
    return joined(clauses, link, code) if link else sentence(clauses[0], code)
