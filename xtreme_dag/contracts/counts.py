"""Count, for each rule of a contract, the values of a table that break it, and remember in which rows they stand.

A batch of rows is in memory at a time; what grows is eight bytes a violation. `engine.judge` makes verdicts of the counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xtreme_dag.contracts.columns import Facts, Rows, batches, flat, rows_without, values_at
from xtreme_dag.contracts.measures import MEASURES
from xtreme_dag.contracts.odcs import Rule
from xtreme_dag.contracts.whole import Test, Whole
from xtreme_dag.core.errors import UserError, nearest

MEASURE = "measure."
MOSTLY = "mostly"  # Great Expectations' name of the share of values that must satisfy a rule
UNIQUE = "expect_column_values_to_be_unique"
ROW_COUNT = "expect_table_row_count_to_be_between"
_BOUNDS = ("min_value", "max_value", "strict_min", "strict_max")
# Expectation of a rule -> its arguments, besides `column` and `mostly` where it is about a column.
EXPECTATIONS: Mapping[str, tuple[str, ...]] = {
    UNIQUE: (),
    "expect_column_values_to_not_be_null": (),
    "expect_column_values_to_be_in_set": ("value_set",),
    "expect_column_value_lengths_to_be_between": _BOUNDS,
    "expect_column_values_to_be_between": _BOUNDS,
    ROW_COUNT: _BOUNDS,
}

_HASHED = 1 << 19  # hashes of a column that are sorted together


def no_rows() -> Rows:
    """An empty array of rows."""
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Count:
    """What was counted for a rule.

    Attributes:
        rule: the rule.
        judged: values that it is about: those that are not null, unless it is about nulls; rows of the table for a rule
            about their number.
        rows: positions of the offending rows, ascending; empty for a rule about the whole table.
        error: why the rule could not be evaluated, or "".
    """

    rule: Rule
    judged: int = 0
    rows: Rows = field(default_factory=no_rows)
    error: str = ""

    @property
    def good(self) -> float:
        """Share of the values that satisfy the rule, from 0 to 1; 1 if there are none."""
        return (self.judged - len(self.rows)) / self.judged if self.judged else 1.0


def count(table: Whole, rules: Sequence[Rule], known: Facts) -> list[Count]:
    """One count a rule, in the order of the rules; what could not be counted has an `error`.

    Args:
        table: a canonical table, stored or in memory.
        rules: from a contract. A tolerated share plays no part here.
        known: about the table.

    Raises:
        UserError: a rule's expectation is not one of `EXPECTATIONS`, or it has an argument that is not counted by.
    """
    for rule in rules:
        check_rule(rule)
    tallies = [_Tally(rule) for rule in rules]
    for tally in tallies:
        tally.attempt(tally.begin, table, known)
    start = 0
    for batch in batches(table):
        for tally in tallies:
            tally.attempt(tally.add, batch, start)
        start += len(batch)
    return [tally.count() for tally in tallies]


def check_rule(rule: Rule) -> None:
    """Refuses a rule that cannot be counted.

    Raises:
        UserError: see `count`.
    """
    where = f"rule {rule.name}"
    if rule.expectation not in EXPECTATIONS:
        what = f"no expectation {rule.expectation!r}"
        raise UserError(what, where=where, fix=nearest(rule.expectation, EXPECTATIONS))
    known = (*EXPECTATIONS[rule.expectation], *(() if rule.expectation == ROW_COUNT else ("column", MOSTLY)))
    for name in rule.kwargs:
        if name not in known:
            raise UserError(f"{rule.expectation} has no argument {name!r}", where=where, fix=nearest(name, known))


class _Tally:
    """The count of one rule while batches of a table pass."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._judged = 0
        self._rows = [no_rows()]
        self._error = ""
        self._values: Test | None = None  # what the rule is about, of a batch; None if that is no single batch

    def attempt(self, step: Callable[..., None], *given: Any) -> None:
        """Takes a step unless one failed before: an error inside a check is reported as such, it is not a pass."""
        try:
            if not self._error:
                step(*given)
        except Exception as error:
            self._error = f"{type(error).__name__}: {error}"

    def begin(self, table: Whole, known: Facts) -> None:
        """Counts what depends on the whole table at once; else prepares the values that the rule is about."""
        if self._rule.expectation == ROW_COUNT:
            self._judged = len(table)
            return
        column = str(self._rule.kwargs["column"])
        if self._rule.expectation == UNIQUE:
            self._judged, rows = repeated(table, column)
            self._rows.append(rows)
        elif column.startswith(MEASURE):
            self._values = MEASURES[column.removeprefix(MEASURE)](table, known)
        else:
            self._values = lambda batch: flat(batch, column)

    def add(self, batch: pa.Table, start: int) -> None:
        """Counts a batch that begins at a row of the table."""
        if self._values is not None:
            bad = _broken(self._rule, self._values(batch))
            self._judged += len(bad) - bad.null_count
            self._rows.append(np.flatnonzero(pc.fill_null(bad, False).to_numpy(zero_copy_only=False)) + start)

    def count(self) -> Count:
        """The count, after the last batch."""
        if self._error:
            return Count(rule=self._rule, error=self._error)
        return Count(rule=self._rule, judged=self._judged, rows=np.concatenate(self._rows))


def _broken(rule: Rule, values: pa.Array) -> pa.Array:
    """For each value whether it breaks a rule; null where the rule says nothing of it, as of a value that is missing."""
    match rule.expectation:
        case "expect_column_values_to_not_be_null":
            return pc.is_null(values)
        case "expect_column_values_to_be_in_set":
            if pa.types.is_list(values.type):  # every one of the list
                inside = rows_without(
                    pc.invert(pc.is_in(values.flatten(), pa.array(rule.kwargs["value_set"], values.type.value_type))),
                    values,
                )
            else:
                inside = pc.is_in(values, pa.array(rule.kwargs["value_set"], values.type))
            return pc.if_else(pc.is_valid(values), pc.invert(inside), pa.scalar(None, pa.bool_()))
        case "expect_column_value_lengths_to_be_between":
            return _outside(pc.utf8_length(values), rule.kwargs)
        case _:
            return _outside(values, rule.kwargs)


def _outside(values: pa.Array, bounds: Mapping[str, Any]) -> pa.Array:
    """For each value whether it is out of bounds, which are inclusive unless they are strict; null where it is."""
    low, high = bounds.get("min_value"), bounds.get("max_value")
    if low is None and high is None:
        raise ValueError("neither min_value nor max_value")
    under = (pc.less_equal if bounds.get("strict_min") else pc.less)(values, low) if low is not None else None
    over = (pc.greater_equal if bounds.get("strict_max") else pc.greater)(values, high) if high is not None else None
    return pc.or_(under, over) if under is not None and over is not None else under if over is None else over


def repeated(table: Whole, column: str) -> tuple[int, Rows]:
    """How many values of a column are not null, and the rows whose value stands in another row too, ascending.

    Values are told apart by their hash, those of equal hashes are compared. A share of the hashes is held at a time; for
    each the whole column is read.
    """
    shares = max(1, -(-len(table) // _HASHED))
    found, judged = [no_rows()], 0
    for share in range(shares):
        rows, hashes = _hashed(table, column, share, shares)
        judged += len(rows)
        ranked = np.sort(hashes)
        suspects = rows[np.isin(hashes, ranked[1:][ranked[1:] == ranked[:-1]])]
        values = values_at(table, column, suspects)
        times = Counter(values)
        found.append(suspects[np.array([times[value] > 1 for value in values], dtype=bool)])
    return judged, np.sort(np.concatenate(found))


def _hashed(table: Whole, column: str, share: int, shares: int) -> tuple[Rows, Rows]:
    """Rows whose value is in a share by its hash, ascending, and the hashes; without nulls."""
    rows, found, start = [no_rows()], [no_rows()], 0
    for batch in batches(table, [column]):
        valid = pc.is_valid(flat(batch, column)).to_numpy(zero_copy_only=False)
        hashes = np.fromiter(map(hash, batch[column].to_pylist()), np.int64, len(batch))
        hit = np.flatnonzero((hashes % shares == share) & valid)
        rows.append(hit + start)
        found.append(hashes[hit])
        start += len(batch)
    return np.concatenate(rows), np.concatenate(found)
