"""Text that switches between languages in the middle of a sentence."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import pyarrow as pa

from xtreme_dag.catalogue.miniworld_languages import CODES
from xtreme_dag.formats import plain_text
from xtreme_dag.miniworld.grammar import Word, inflect, text
from xtreme_dag.miniworld.lexicon import lexicon
from xtreme_dag.miniworld.meanings import randomness
from xtreme_dag.miniworld.texts import lines, words_of
from xtreme_dag.tables.canonical import schema_of


def switched_words(words: Sequence[Word], rng: random.Random, share: float) -> list[Word]:
    """The words, each with probability `share` in a language drawn for it alone (marks stay as they are)."""
    return [_switched(one, rng.choice(CODES)) if rng.random() < share else one for one in words]


def _switched(one: Word, code: str) -> Word:
    if one.concept not in lexicon(code).stems:
        return one
    return replace(one, form=inflect(one.concept, one.features, code))


def switched_text(code: str, *, rows: int, share: float, seed: int) -> pa.Table:
    """Plain text of a language, of which a share of the sentences has half of its words in other languages.

    Args:
        code: the language that gives the grammar.
        rows: sentences; no two languages get the same meanings.
        share: of the sentences that switch.
        seed: of the text.

    Returns:
        A canonical `plain_text` table of split `train`.
    """
    rng = randomness(format="switched", dataset=code, split="train", seed=seed)
    made = []
    for number, line in enumerate(islice(lines(rng, "train", dialogue=False), rows)):
        words = words_of(line, code)
        if rng.random() < share:
            words = switched_words(words, rng, 0.5)
        made.append({"id": f"train-{number:06d}", "language": code, "split": "train", "text": text(words, code),
                     "document": f"train-{line.document:06d}"})  # fmt: skip
    return pa.Table.from_pylist(made, schema=schema_of(plain_text.FORMAT))
