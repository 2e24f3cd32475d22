"""Errors that a user can cause and correct, and advice on mistyped names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable

_LONGEST_LINE = 1_000  # characters of a line of a message
# What a terminal obeys, hides or cannot be sent: controls but tab and line feed, halves of surrogate pairs, directions.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


def printable(text: str) -> str:
    """A text from a file as it can be sent to any terminal: what the terminal would obey is spelled out (`\\x1b`)."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


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
        said = printable(f"{head}\n  {self.fix}" if self.fix else head).replace("\t", "\\t")
        return "\n".join(
            line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}..." for line in said.split("\n")
        )


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
