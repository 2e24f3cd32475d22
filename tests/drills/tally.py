"""What came of a drill: counts, and each failure with the words that repeat it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

COUNTED = ("lost", "wrong", "tracebacks", "hangs")
"""What must not come of a fault: work that was done is gone, a figure is another one and nobody says so, our own frames
on the terminal (or a signal's end), no end within the drill's limit."""


@dataclass
class Tally:
    """One row of the table.

    Attributes:
        drill: its name.
        attempts: how many faults were tried.
        faults: how many of them did something: were noticed, said, or mended.
        failures: kind (`COUNTED`) -> what happened, each with the words that repeat it.
        notes: what else is worth counting.
        seconds: how long it took.
    """

    drill: str
    attempts: int = 0
    faults: int = 0
    failures: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in COUNTED})
    notes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def fail(self, kind: str, what: str) -> None:
        """Notes a failure, and prints it at once."""
        self.failures[kind].append(what)
        print(f"{self.drill}: {kind}: {what}", flush=True)

    @property
    def clean(self) -> bool:
        """Whether nothing came of it that must not."""
        return not any(self.failures.values())

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Adds the time of a block."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds += time.monotonic() - begun


def as_table(tallies: Iterable[Tally]) -> str:
    """The rows as a Markdown table."""
    heads = ("drill", "attempts", "faults", *COUNTED, "seconds")
    rows = [
        (one.drill, f"{one.attempts:,}", f"{one.faults:,}", *(str(len(one.failures[kind])) for kind in COUNTED),
         f"{one.seconds:,.0f}")
        for one in tallies
    ]  # fmt: skip
    lines = [heads, ("---", *["---:"] * (len(heads) - 1)), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
