"""Errors that a user can cause and correct, and advice on mistyped names."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable


class UserError(Exception):
    """An error that the user can correct: printed in one or two lines, exit code 1.

    Args:
        what: what is wrong, with the value that is wrong.
        where: the key, file, dataset or stage that it concerns.
        fix: what to do about it.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  {self.fix}" if self.fix else head


def nearest(value: str, valid: Iterable[str], *, shown: int = 8) -> str:
    """Advice for a name that is not valid: the nearest valid name, or the valid names if none is similar."""
    names = sorted(valid)
    close = difflib.get_close_matches(value, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    more = f", ... ({len(names)} in all)" if len(names) > shown else ""
    return "valid: " + ", ".join(names[:shown]) + more


def refuse_unknown(given: Iterable[object], valid: Collection[str], *, what: str, where: str) -> None:
    """Raises for the first of the given names that is not valid, with the nearest valid one."""
    for name in given:
        if name not in valid:
            raise UserError(f"unknown {what} {name!r}", where=where, fix=nearest(str(name), valid))
