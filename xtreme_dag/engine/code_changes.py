"""What changed between two fingerprints, by name: nothing for a definition that was only moved or renamed."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from itertools import zip_longest

from xtreme_dag.engine.fingerprint import Fingerprint


def code_changes(before: Fingerprint, after: Fingerprint) -> list[str]:
    """`name changed` (`old.name -> new.name changed` where it moved too), `name added`, `name removed`, sorted.

    Args:
        before: the earlier fingerprint; empty if it is not known any more.
        after: the fingerprint now.
    """
    if not before:
        return ["changed, what it was is not kept"]
    pairs = _pairs(before, after)
    taken = set(pairs.values())

    def differ(old: str, new: str) -> bool:
        (form, *left), (form_now, *right) = before[old], after[new]
        # The same text may refer to other definitions than before. One that is new or gone is a reason of its own.
        return form != form_now or any(
            b in taken if a is None else a in pairs if b is None else pairs.get(a) != b
            for a, b in zip_longest(left, right)
        )

    changed = {old: new for old, new in pairs.items() if differ(old, new)}
    return sorted(
        [f"{new} changed" if old == new else f"{old} -> {new} changed" for old, new in changed.items()]
        + [f"{name} removed" for name in before if name not in pairs]
        + [f"{name} added" for name in after if name not in taken]
    )


def _pairs(before: Fingerprint, after: Fingerprint) -> dict[str, str]:
    """Earlier name -> present name of each definition that is in both.

    Where a definition reads as it did, what it refers to corresponds place by place. What that leaves is matched by
    name, then place by place in definitions that read otherwise but refer to as many, then by normal form and by the last
    part of the name, where there is one candidate.
    """
    pairs: dict[str, str] = {}
    taken: set[str] = set()
    waiting: deque[tuple[str, str]] = deque()
    doubtful: list[tuple[str, str]] = []

    def corresponds(old: str, new: str) -> bool:
        """Not if the text now refers to another definition than before, and both are known under their names."""
        renamed = before[old][0] == after[new][0] and (old not in after or after[old][0] != before[old][0])
        return old == new or renamed or (old not in after and new not in before)

    def pair(candidates: Iterable[tuple[str, str]]) -> None:
        waiting.extend(candidates)
        while waiting:
            old, new = waiting.popleft()
            if old in pairs or new in taken:
                continue
            pairs[old] = new
            taken.add(new)
            (form, *left), (form_now, *right) = before[old], after[new]
            places = [each for each in zip(left, right, strict=False) if corresponds(*each)]
            if form == form_now:
                waiting.extend(places)
            elif len(left) == len(right):
                doubtful.extend(places)

    def single(names: Fingerprint, matched: Iterable[str], key: Callable[[str, str], object]) -> dict[object, str]:
        groups = defaultdict(list)
        for name in names.keys() - set(matched):
            groups[key(name, names[name][0])].append(name)
        return {value: group[0] for value, group in groups.items() if len(group) == 1}

    def last(name: str) -> str:
        return name.rpartition(".")[2]

    pair([(next(iter(before)), next(iter(after)))])
    rules: tuple[Callable[[str, str], object], ...] = (
        lambda name, _: name,
        lambda name, form: (last(name), form),
        lambda _, form: form,
        lambda name, _: last(name),
    )
    for key in rules:
        left, right = single(before, pairs, key), single(after, taken, key)
        pair(sorted((left[value], right[value]) for value in left.keys() & right.keys()))
        while doubtful:
            pair([doubtful.pop()])
    return pairs
