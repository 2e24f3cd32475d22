"""Texts reduced to what makes them the same text: without case, punctuation, blanks and accents."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Hashes = np.ndarray[tuple[int], np.dtype[np.uint64]]

# Punctuation, separators, symbols, control characters, and marks that do not take up room (accents, points).
_DROPPED = r"[\pP\pZ\pS\pC\p{Mn}]+"


def fold(texts: pa.Array) -> pa.Array:
    """Texts in lower case, compatibility forms undone (NFKD), with letters, digits and spacing marks alone.

    A text of nothing else (a smiley) stays as it is, so that it does not equal every other such text.
    """
    plain = pc.utf8_lower(pc.utf8_normalize(pc.fill_null(texts, ""), form="NFKD"))
    bare = pc.replace_substring_regex(plain, pattern=_DROPPED, replacement="")
    return pc.if_else(pc.equal(bare, ""), plain, bare)


def fold_column(column: pa.ChunkedArray) -> pa.Array:
    """A column of texts, folded; a list of texts or words is one text."""
    whole = column.combine_chunks()
    return fold(pc.binary_join(whole, " ") if pa.types.is_list(whole.type) else whole)


def hashes(texts: Sequence[str]) -> Hashes:
    """A 64-bit hash of each text."""
    found = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts]
    return np.frombuffer(b"".join(found), dtype=np.uint64)
