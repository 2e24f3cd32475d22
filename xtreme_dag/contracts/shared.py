"""What two tables have in common: a finding of the audit stage, for people and for the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Examples of a table that another one has, which should be new to it.

    Attributes:
        seen: what is trained or selected on: `dataset/language/split`.
        seen_for: `train` or `select`.
        tested: what is tested, or selected on.
        examples: how many examples that has.
        found: how many of them the seen table has.
        share: of those that say something (see `contracts.overlap`).
        by: how they were found -> number.
        first_ids: pairs of ids: of the tested table, and of the seen one.
        leak: more than recurs by chance.
        allowed: the reason for which the study allows it; empty if it does not.
    """

    seen: str
    seen_for: str
    tested: str
    examples: int
    found: int
    share: float
    by: Mapping[str, int]
    first_ids: Sequence[Sequence[str]]
    leak: bool
    allowed: str = ""

    @property
    def stops(self) -> bool:
        """Whether what reads the seen table must not run."""
        return self.leak and not self.allowed

    def in_words(self) -> str:
        """The finding in a line."""
        how = ", ".join(f"{count:,} by {_HOW[name]}" for name, count in self.by.items())
        verdict = "LEAK" if self.stops else "allowed" if self.leak else "few"
        first = f", such as {' = '.join(dict.fromkeys(self.first_ids[0]))}" if self.first_ids else ""
        why = f"; allowed: {self.allowed}" if self.leak and self.allowed else ""
        return f"{verdict}: {self.found:,} of {self.examples:,} examples of {self.tested} are in {self.seen} ({how}{first}){why}"


_HOW = {"text": "text", "id": "id", "number": "number, label and length", "near": "near duplicate"}


def shared_in(content: Mapping[str, Any]) -> list[Shared]:
    """What the `overlap.json` of an `audit` stage says."""
    return [
        Shared(
            seen=content["seen"],
            seen_for=content["use"],
            **{name: one[name] for name in ("tested", "examples", "found", "share", "by", "first_ids", "leak")},
            allowed=one["allowed"] or "",
        )
        for one in content["findings"]
    ]
