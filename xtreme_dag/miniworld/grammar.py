"""Turn a meaning into the words of one language, and words into text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from xtreme_dag.catalogue.miniworld_languages import Language, language_of
from xtreme_dag.miniworld.lexicon import lexicon
from xtreme_dag.miniworld.world import Event, Thing


@dataclass(frozen=True, kw_only=True)
class Word:
    """One word of a sentence.

    Attributes:
        form: as written.
        concept: what it means; `features`: what its suffixes mark, in their order.
        tag: universal part of speech.
        entity: IOB2 tag, `O` outside names.
        role: `subject`, `object` or `place` for the words of a participant (its determiner apart), `verb`, else ``.
    """

    form: str
    concept: str
    tag: str
    features: tuple[str, ...] = ()
    entity: str = "O"
    role: str = ""


def inflect(concept: str, features: Sequence[str], code: str) -> str:
    """The form of a concept with those features that the language marks."""
    forms = lexicon(code)
    return forms.stems[concept] + "".join(forms.suffixes.get(feature, "") for feature in features)


def word(concept: str, tag: str, code: str, *, features: Sequence[str] = (), role: str = "", entity: str = "O") -> Word:
    """A word with its form; features that the language does not mark are dropped."""
    marked = tuple(feature for feature in features if feature in lexicon(code).suffixes)
    form = inflect(concept, marked, code)
    return Word(form=form, concept=concept, tag=tag, features=marked, role=role, entity=entity)


def mark(concept: str, code: str) -> Word:
    """A punctuation mark."""
    return Word(form=lexicon(code).marks[concept], concept=concept, tag="PUNCT")


def noun_phrase(thing: Thing, language: Language, *, role: str = "", case: str = "") -> list[Word]:
    """The words of a participant, with its case on the head noun or on the last word of a name."""
    code, cases = language.code, (case,) if case else ()
    if thing.name:
        last = len(thing.name) - 1
        return [
            word(part, "PROPN", code, features=cases if index == last else (), role=role,
                 entity=f"{'I' if index else 'B'}-{thing.entity}")
            for index, part in enumerate(thing.name)
        ]  # fmt: skip
    plural = ("#plural",) if thing.plural else ()
    head = [word(thing.noun, "NOUN", code, features=plural + cases, role=role)]
    if thing.adjective:
        agreed = plural if language.agreement else ()
        adjective = [word(thing.adjective, "ADJ", code, features=agreed, role=role)]
        head = adjective + head if language.adjective_first else head + adjective
    before: list[Word] = []
    if thing.determiner and thing.determiner in lexicon(code).stems:
        before.append(word(thing.determiner, "DET", code))
    if thing.numeral:
        before.append(word(thing.numeral, "NUM", code, role=role))
    return before + head


def place_phrase(event: Event, language: Language) -> list[Word]:
    """Where it happened: the place with its adposition, or with the locative suffix for "in"."""
    if event.place is None:
        return []
    if event.adposition == "in" and "#locative" in language.suffixes:
        return noun_phrase(event.place, language, role="place", case="#locative")
    adposition = [word(event.adposition, "ADP", language.code)]
    phrase = noun_phrase(event.place, language, role="place")
    return phrase + adposition if language.postpositions else adposition + phrase


def verb_phrase(event: Event, language: Language) -> list[Word]:
    """The verb with its negation and its perfect: a suffix, or an auxiliary on the side that the word order asks."""
    suffixed = event.perfect and "#perfect" in language.suffixes
    verb = [word(event.verb, "VERB", language.code, features=("#perfect",) if suffixed else (), role="verb")]
    never = [word("never", "ADV", language.code)] if event.negated else []
    if not event.perfect or suffixed:
        return never + verb
    auxiliary = [word("had", "AUX", language.code)]
    return never + verb + auxiliary if language.order == "sov" else auxiliary + never + verb


def _ordered(
    language: Language, subject: list[Word], verb: list[Word], object_: list[Word], rest: list[Word]
) -> list[Word]:
    if language.order == "sov":
        return subject + rest + object_ + verb
    if language.order == "vso":
        return verb + subject + object_ + rest
    return subject + verb + object_ + rest


def clause(event: Event, code: str) -> list[Word]:
    """The words of an event, without a final mark."""
    language = language_of(code)
    place = place_phrase(event, language)
    adverb = [word(event.adverb, "ADV", code)] if event.adverb else []
    words = _ordered(
        language,
        noun_phrase(event.subject, language, role="subject"),
        verb_phrase(event, language),
        noun_phrase(event.object, language, role="object", case="#accusative"),
        adverb if event.place_first else place + adverb,
    )
    return place + words if event.place_first else words


def sentence(event: Event, code: str) -> list[Word]:
    """The words of an event with the final stop."""
    return [*clause(event, code), mark("#stop", code)]


def joined(events: Sequence[Event], link: str, code: str) -> list[Word]:
    """One sentence of several clauses, linked by `and`, `but` or `because`."""
    tag = "SCONJ" if link == "because" else "CCONJ"
    words = clause(events[0], code)
    for event in events[1:]:
        words += [mark("#comma", code), word(link, tag, code), *clause(event, code)]
    return [*words, mark("#stop", code)]


def question(event: Event, role: str, code: str) -> list[Word]:
    """The question that an event's participant answers: `role` is `subject`, `object` or `place`.

    The question word stands where the answer would, or in front where the language moves it; the rest of the event
    is as it was told, but for the adverb.
    """
    language = language_of(code)
    asked = [word(*{"subject": ("who", "PRON"), "object": ("what", "PRON"), "place": ("where", "ADV")}[role], code)]
    held: list[Word] = [] if language.fronting else asked
    place = place_phrase(event, language)
    words = _ordered(
        language,
        held if role == "subject" else noun_phrase(event.subject, language, role="subject"),
        verb_phrase(event, language),
        held if role == "object" else noun_phrase(event.object, language, role="object", case="#accusative"),
        held if role == "place" else place,
    )
    return [*(asked if language.fronting else []), *words, mark("#question", code)]


def copula(thing: Thing, noun: str, code: str) -> list[Word]:
    """X is a NOUN, as a sentence."""
    language = language_of(code)
    article = [word("a", "DET", code)] if language.articles else []
    kind = [*article, word(noun, "NOUN", code)]
    words = _ordered(language, noun_phrase(thing, language, role="subject"), [word("is", "AUX", code)], kind, [])
    return [*words, mark("#stop", code)]


def layout(words: Iterable[Word], code: str) -> tuple[str, list[tuple[int, int]]]:
    """The text of words, and each word's start and end in Unicode code points.

    Words are separated by a space, marks follow directly; in an unspaced language nothing separates anything.
    """
    spaced = language_of(code).spaced
    text, spans = "", []
    for one in words:
        if text and spaced and one.tag != "PUNCT":
            text += " "
        spans.append((len(text), len(text) + len(one.form)))
        text += one.form
    return text, spans


def text(words: Iterable[Word], code: str) -> str:
    """The text of words."""
    return layout(words, code)[0]
