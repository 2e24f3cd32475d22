"""How many examples a split was published with."""

from __future__ import annotations

from xtreme_dag.catalogue.catalogue import load_catalogue


def published_count(dataset: str, split: str, language: str) -> int | None:
    """The published number of examples, of a union that of all its parts; None where one is not known."""
    declared = load_catalogue().dataset(dataset).split(split)
    if not declared.union:
        return declared.count(language)
    counts = [published_count(ref.dataset, ref.split, language) for ref in declared.union]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
