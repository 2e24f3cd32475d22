"""Rules on Great Expectations: one suite in code, one batch in memory, an ephemeral context.

A context that is reloaded from files silently drops expectations that it cannot import, and an expectation that raises
is reported as a mere failure: so the number of results is asserted, and an error is told apart from a violation.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from xtreme_dag.contracts.columns import Rows
from xtreme_dag.contracts.odcs import Rule
from xtreme_dag.core.errors import UserError, nearest

EXPECTATIONS = (
    "expect_column_values_to_be_unique",
    "expect_column_values_to_not_be_null",
    "expect_column_values_to_be_in_set",
    "expect_column_value_lengths_to_be_between",
    "expect_column_values_to_be_between",
    "expect_table_row_count_to_be_between",
)

ROW_COUNT = "expect_table_row_count_to_be_between"
MOSTLY = "mostly"  # Great Expectations' name of the share of values that must satisfy a rule


def no_rows() -> Rows:
    """An empty array of rows."""
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdict:
    """How a rule came out.

    Attributes:
        rule: its name.
        ok: satisfied.
        rows: positions of the offending rows, ascending; empty for a rule about the whole table.
        judged: number of values that a rule with a tolerated share looked at (nulls are not), of rows that one about
            their number counted; 0 for other rules.
        error: why the rule could not be evaluated, or "". It is then not satisfied.
    """

    rule: str
    ok: bool
    rows: Rows = field(default_factory=no_rows)
    judged: int = 0
    error: str = ""

    def placed(self, rows: Rows) -> Verdict:
        """The same verdict with its rows counted elsewhere: `rows` holds where each row of the frame stands."""
        return replace(self, rows=rows[self.rows]) if len(self.rows) else self


def evaluate(rules: Sequence[Rule], frame: Any, *, counted: bool = True) -> list[Verdict]:
    """Evaluates rules on a data frame.

    Args:
        rules: from a contract.
        frame: pandas, with every column that the rules name; its index counts the rows from 0.
        counted: the frame is a part of a table, and `combined` needs its counts where rules ask for a share or a number.

    Returns:
        One verdict a rule, in the order of the rules.

    Raises:
        UserError: a rule's expectation is not one of `EXPECTATIONS`.
        RuntimeError: Great Expectations evaluated another number of expectations than it was given.
    """
    with quiet():
        batch = _definition().get_batch(batch_parameters={"dataframe": frame})
        first = _results(rules, batch, "BOOLEAN_ONLY")
        failed = [
            rule
            for rule in rules
            if ((counted and _by_counts(rule)) or not first[rule.name].success) and not _error(first[rule.name])
        ]
        detail = _results(failed, batch, "COMPLETE") if failed else {}
    return [_verdict(rule, first[rule.name], detail.get(rule.name)) for rule in rules]


def _verdict(rule: Rule, first: Any, detail: Any) -> Verdict:
    error = _error(first)
    if error:
        return Verdict(rule=rule.name, ok=False, error=error)
    told: Mapping[str, Any] = {} if detail is None else detail.result
    rows = np.sort(np.array(told.get("unexpected_index_list") or (), dtype=np.int64))
    judged = int(told.get("element_count") or 0) - int(told.get("missing_count") or 0)
    if rule.expectation == ROW_COUNT:
        judged = int(told.get("observed_value") or 0)
    return Verdict(rule=rule.name, ok=bool(first.success), rows=rows, judged=judged)


def _by_counts(rule: Rule) -> bool:
    """Whether the verdict on a whole needs the counts of its parts."""
    return MOSTLY in rule.kwargs or rule.expectation == ROW_COUNT


def strict(rule: Rule) -> Rule:
    """A rule without its tolerated share: what a part of a table is held against, see `combined`."""
    return replace(rule, kwargs={**rule.kwargs, MOSTLY: 1.0}) if MOSTLY in rule.kwargs else rule


def combined(rule: Rule, parts: Sequence[Verdict]) -> Verdict:
    """The verdict on a whole from the verdicts of `strict` on all its parts, each with rows counted in the whole.

    It is what one evaluation of the whole would find: a tolerated share, or the bounds of the number of rows, are held
    against the sums over the parts by the arithmetic of Great Expectations (the values that are good over the values
    that are not null).

    Args:
        rule: as the contract has it.
        parts: at least one; together every value once.
    """
    error = next((part.error for part in parts if part.error), "")
    if error:
        return Verdict(rule=rule.name, ok=False, error=error)
    rows = np.sort(np.concatenate([part.rows for part in parts]))
    judged = sum(part.judged for part in parts)
    if rule.expectation == ROW_COUNT and len(parts) > 1:
        return Verdict(rule=rule.name, ok=_within(judged, rule.kwargs), judged=judged)
    ok = all(part.ok for part in parts)
    if not ok and MOSTLY in rule.kwargs:
        ok = (judged - len(rows)) / judged >= rule.kwargs[MOSTLY]
    return Verdict(rule=rule.name, ok=ok, rows=rows, judged=judged)


def apart(rule: Rule, answer: Verdict, frame: Any, start: int) -> Verdict:
    """The verdict of a `strict` rule on one of several tables that were judged as one.

    It is what an evaluation of the table alone would find.

    Args:
        rule: as it was put.
        answer: on all of them, without an error.
        frame: the table's own.
        start: where its rows began.
    """
    if rule.expectation == ROW_COUNT:
        return Verdict(rule=rule.name, ok=_within(len(frame), rule.kwargs), judged=len(frame))
    low, high = np.searchsorted(answer.rows, (start, start + len(frame)))
    judged = int(frame[rule.kwargs["column"]].notna().sum()) if MOSTLY in rule.kwargs else 0
    return Verdict(rule=rule.name, ok=bool(low == high), rows=answer.rows[low:high] - start, judged=judged)


def _within(count: int, bounds: Mapping[str, Any]) -> bool:
    low, high = bounds.get("min_value"), bounds.get("max_value")
    enough = low is None or (count > low if bounds.get("strict_min") else count >= low)
    return enough and (high is None or (count < high if bounds.get("strict_max") else count <= high))


def _results(rules: Sequence[Rule], batch: Any, detail: str) -> dict[str, Any]:
    import great_expectations as gx

    suite = gx.ExpectationSuite(name="contract", expectations=[expectation(rule) for rule in rules])
    outcome = batch.validate(suite, result_format=detail)
    results = {result.expectation_config.meta["rule"]: result for result in outcome.results}
    if len(outcome.results) != len(rules) or set(results) != {rule.name for rule in rules}:
        raise RuntimeError(f"{len(outcome.results)} of {len(rules)} expectations were evaluated")
    return results


def expectation(rule: Rule) -> Any:
    """The expectation of a rule.

    Raises:
        UserError: it is not one of `EXPECTATIONS`.
    """
    if rule.expectation not in EXPECTATIONS:
        fix = nearest(rule.expectation, EXPECTATIONS)
        raise UserError(f"expectation {rule.expectation!r} is not one that is run", where=f"rule {rule.name}", fix=fix)
    import great_expectations as gx

    kind = getattr(gx.expectations, rule.expectation.title().replace("_", ""))
    return kind(**rule.kwargs, meta={"rule": rule.name})


def _error(result: Any) -> str:
    """The first error that stopped an expectation from being evaluated, or ""."""
    info: Mapping[str, Any] = result.exception_info or {}
    entries = [info] if "raised_exception" in info else list(info.values())
    for entry in entries:
        if entry["raised_exception"]:
            return str(entry["exception_message"]).strip().splitlines()[-1]
    return ""


@lru_cache(maxsize=1)
def _definition() -> Any:
    """The batch definition of this process; making a context costs more than a check."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from tqdm import tqdm

    # The bars, hidden or not, have a lock; their own is a semaphore of the system, which a killed process leaves behind.
    tqdm.set_lock(threading.RLock())
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("tables").add_dataframe_asset("table")
    return asset.add_batch_definition_whole_dataframe("whole")


@contextmanager
def quiet() -> Iterator[None]:
    """Great Expectations without analytics and without its chatter on the log."""
    import logging

    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    loggers = [logging.getLogger(name) for name in ("great_expectations", "great_expectations.validator.validator")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
