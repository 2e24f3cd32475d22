"""Initial word embeddings of the planted model: words of one meaning lie close, closest in close languages."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from xtreme_dag.catalogue.miniworld_languages import language_of
from xtreme_dag.core.english import ENGLISH
from xtreme_dag.miniworld.world import ADJECTIVES, VERBS, antonym, word_class
from xtreme_dag.training.planted_tokenizer import SPECIALS, letters, pieces

Floats = npt.NDArray[np.float32]

# Of what separates a language from English, the share that its family has in common.
FAMILY_SHARE = 0.5
# Standard deviation of a coordinate. The sum with the position is normalised: only their proportion counts at first.
SCALE = 0.06
# Positions are faint beside words, or words that mean the same would not look alike in different places.
POSITION_SCALE = 0.1 * SCALE
# Of a concept's vector, the share that all words of its part of speech have in common.
CLASS_SHARE = 0.3
# The share that a word has in common with its opposite: antonyms occur in the same places, so a model pretrained on
# text has them close. What contradicts then differs from what is merely different by a distance, not by a list.
PAIR_SHARE = 0.4
# With marked opposites, the share that the mark has in the second word of a pair; all languages but English have it.
MARK_SHARE = 0.3


def _noise(seed: int, name: str, size: int) -> npt.NDArray[np.float64]:
    """A standard normal vector that depends on the seed and a name alone, not on what else is drawn."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big"))).standard_normal(size)


def concept_vector(concept: str, *, seed: int, size: int) -> npt.NDArray[np.float64]:
    """The vector of a concept, with coordinates of variance 1: its word class's, its antonym pair's, and its own."""
    parts = [(CLASS_SHARE, f"class {word_class(concept)}")]
    if concept in VERBS or concept in ADJECTIVES:
        parts.append((PAIR_SHARE, f"pair {'/'.join(sorted((concept, antonym(concept))))}"))
    parts.append((1 - sum(share for share, _name in parts), concept))
    vector = np.zeros(size)
    for share, name in parts:
        vector += math.sqrt(share) * _noise(seed, name, size)
    return vector


def word_vector(
    concept: str, code: str, *, seed: int, size: int, marked: bool = False, kinship: float | None = None
) -> npt.NDArray[np.float64]:
    """The vector of a concept's word in one language, with coordinates of variance 1.

    `sqrt(k) * concept + sqrt(1 - k) * (sqrt(f) * family + sqrt(1 - f) * language)`, where k is the kinship to English
    and f is `FAMILY_SHARE`; each part is noise of its own. So the expected cosine to the English word is sqrt(k), and
    that of two languages with kinships k and l is sqrt(kl), plus f * sqrt((1 - k)(1 - l)) in one family.

    Args:
        concept: what the word means.
        code: the language.
        seed: of the alignment.
        size: number of coordinates.
        marked: the second word of a pair of opposites is the first with a mark, as in "done" and "undone", in every
            language but English: a relation that English alone cannot teach.
        kinship: to English, if not the language's own.
    """
    language = language_of(code)
    kin = language.kinship if kinship is None else kinship
    if marked and code != ENGLISH and concept in (*VERBS[1::2], *ADJECTIVES[1::2]):
        first = word_vector(antonym(concept), code, seed=seed, size=size, kinship=kinship)
        return math.sqrt(1 - MARK_SHARE) * first + math.sqrt(MARK_SHARE) * _noise(seed, "mark of an opposite", size)
    apart = math.sqrt(FAMILY_SHARE) * _noise(seed, f"{language.family}/{concept}", size) + math.sqrt(
        1 - FAMILY_SHARE
    ) * _noise(seed, f"{code}/{concept}", size)
    return math.sqrt(kin) * concept_vector(concept, seed=seed, size=size) + math.sqrt(1 - kin) * apart


def word_embeddings(
    *, seed: int, size: int, marked: bool = False, kinship: Mapping[str, float] | None = None
) -> Floats:
    """Word embeddings for the whole vocabulary, <mask> last: float32 `[vocabulary, size]`; the padding is zero."""
    own = kinship or {}
    rows = [_noise(seed, special, size) for special in SPECIALS]
    rows += [
        word_vector(concept, code, seed=seed, size=size, marked=marked, kinship=own.get(code))
        for concept, code in pieces().values()
    ]
    rows += [_noise(seed, f"letter {letter}", size) for letter in letters()]
    rows.append(_noise(seed, "<mask>", size))
    rows[SPECIALS.index("<pad>")] = np.zeros(size)
    return (SCALE * np.stack(rows)).astype(np.float32)


def position_embeddings(positions: int, size: int) -> Floats:
    """Sinusoids (Vaswani et al. 2017, section 3.5), scaled: float32 `[positions, size]`, zero where padding points.

    Learned positions that pretraining never reaches would stay noise.
    """
    place = np.arange(positions)[:, None] - 2.0
    rate = np.exp(-math.log(10_000.0) * np.arange(0, size, 2) / size)
    table = np.zeros((positions, size))
    table[:, 0::2], table[:, 1::2] = np.sin(place * rate), np.cos(place * rate)
    table[:2] = 0.0
    return (POSITION_SCALE * table).astype(np.float32)
