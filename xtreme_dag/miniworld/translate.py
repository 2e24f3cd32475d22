"""Word-by-word translation between the miniworld's languages: every word right, the grammar the source's.

The stand-in for machine translation. Number and case go along where the target marks them; nothing is reordered, no
auxiliary or adposition is added where the target would want one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import product
from types import MappingProxyType

from xtreme_dag.catalogue.miniworld_languages import language_of
from xtreme_dag.core.errors import UserError
from xtreme_dag.miniworld.grammar import inflect
from xtreme_dag.miniworld.lexicon import lexicon
from xtreme_dag.miniworld.world import FEATURES


@cache
def analyses(code: str) -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """Every form of a language -> its concept and features, marks included."""
    forms = lexicon(code)
    marked = [feature for feature in FEATURES if feature in forms.suffixes]
    numbers = [(), ("#plural",)] if "#plural" in marked else [()]
    endings = [(), *((feature,) for feature in marked if feature != "#plural")]
    found: dict[str, tuple[str, tuple[str, ...]]] = {mark: (concept, ()) for concept, mark in forms.marks.items()}
    for concept, (number, ending) in product(forms.stems, product(numbers, endings)):
        found.setdefault(inflect(concept, number + ending, code), (concept, number + ending))
    return MappingProxyType(found)


def translate_words(words: Sequence[str], source: str, target: str) -> list[str]:
    """Each word in the target language: as many as there were, empty where the target has no such word (articles).

    Raises:
        UserError: a word that the source language does not have.
    """
    known, forms, made = analyses(source), lexicon(target), []
    for word in words:
        if word not in known:
            raise UserError(f"{word!r} is no word of {language_of(source).name}", where=f"translate {source} {target}")
        concept, features = known[word]
        if concept in forms.marks:
            made.append(forms.marks[concept])
        else:
            made.append(inflect(concept, features, target) if concept in forms.stems else "")
    return made
