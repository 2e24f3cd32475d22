"""What every translator shares: its type, each text translated once, and a count of the examples left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

# Texts in, their translations out.
Translate = Callable[[Sequence[str]], list[str]]


@dataclass(kw_only=True)
class Losses:
    """Why examples were left out: reason -> ids."""

    reasons: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, name: str) -> None:
        """One example."""
        self.reasons.setdefault(reason, []).append(name)


def translated_once(texts: Sequence[str], translate: Translate) -> dict[str, str]:
    """Text -> its translation."""
    made = translate(texts)
    if len(made) != len(texts):
        raise RuntimeError(f"{len(texts)} texts went into the translator and {len(made)} came out")
    return dict(zip(texts, made, strict=True))
