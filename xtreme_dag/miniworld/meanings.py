"""Streams of meanings: the same in every language, different in every dataset, never the same in two splits."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator

from xtreme_dag.core.errors import UserError
from xtreme_dag.miniworld.world import DOMAINS, Event, draw_event

# Shares of all possible meanings, by a hash of the meaning: what is a test meaning is one in every dataset.
_TRAIN, _DEV = 0.6, 0.8
_PATIENCE = 10_000  # draws without a new meaning after which the world counts as exhausted


def part(split: str) -> str:
    """`train`, `dev` or `test` for a split's name, which starts with one of them (`validation` counts as `dev`).

    Raises:
        UserError: the name starts with none of them.
    """
    for beginning, name in {"train": "train", "dev": "dev", "valid": "dev", "test": "test"}.items():
        if split.startswith(beginning):
            return name
    raise UserError(
        f"no split {split!r} in the miniworld", where="split", fix="a split's name starts with train, dev or test"
    )


def part_of(meaning: object) -> str:
    """The part that a meaning belongs to, by its content alone."""
    digest = hashlib.blake2b(repr(meaning).encode(), digest_size=8).digest()
    share = int.from_bytes(digest, "big") / 2**64
    return "train" if share < _TRAIN else "dev" if share < _DEV else "test"


def randomness(*, format: str, dataset: str, split: str, seed: int) -> random.Random:
    """The source of randomness of one table; the language has no say in it, so that tables are parallel."""
    return random.Random(f"miniworld/{seed}/{dataset}/{split}/{format}")


def distinct(draw: Callable[[], Event], split: str) -> Iterator[Event]:
    """Infinite stream of distinct meanings of one split.

    Args:
        draw: draws one meaning.
        split: the split's name.

    Raises:
        UserError: no new meaning is found any more.
    """
    own, misses = part(split), 0
    seen: set[Event] = set()
    while True:
        event = draw()
        if event in seen or part_of(event) != own:
            misses += 1
            if misses > _PATIENCE:
                raise UserError(
                    f"the miniworld has no more than {len(seen)} such meanings",
                    where=f"miniworld {split}",
                    fix="ask for fewer rows",
                )
            continue
        seen.add(event)
        misses = 0
        yield event


def events(rng: random.Random, split: str, **shares: float) -> Iterator[Event]:
    """Infinite stream of distinct events of one split; `shares` as in `world.draw_event`."""
    return distinct(lambda: draw_event(rng, rng.randrange(DOMAINS), **shares), split)


def balanced(rng: random.Random, values: int) -> Iterator[int]:
    """0 .. values - 1 as an infinite stream in random order, each equally often."""
    while True:
        yield from rng.sample(range(values), values)
