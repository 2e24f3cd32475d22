"""Judge the counts of a table with Great Expectations: one row with a column for each rule, one expectation a rule.

A context that is reloaded from files silently drops expectations that it cannot import, and an expectation that raises
is reported as a mere failure: so the context is in memory, the number of results is asserted, and an error is told apart
from a violation.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from xtreme_dag.contracts.counts import MOSTLY, ROW_COUNT, Count


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdict:
    """How a rule came out.

    Attributes:
        count: what was counted for it.
        ok: satisfied.
        error: why it could not be evaluated, or "". It is then not satisfied.
    """

    count: Count
    ok: bool
    error: str = ""


def judge(counts: Sequence[Count]) -> list[Verdict]:
    """One verdict a count, in their order.

    Raises:
        RuntimeError: Great Expectations evaluated another number of expectations than it was given.
    """
    asked = [count for count in counts if not count.error]
    results = []
    if asked:
        with quiet():
            batch = _definition().get_batch(batch_parameters={"dataframe": frame(asked)})
            results = batch.validate(suite("contract", asked), result_format="BOOLEAN_ONLY").results
    by_rule = {result.expectation_config.meta["rule"]: result for result in results}
    if not len(by_rule) == len(results) == len(asked):
        raise RuntimeError(f"{len(by_rule)} of {len(asked)} expectations were evaluated")
    verdicts = []
    for count in counts:
        result = by_rule.get(count.rule.name)
        error = count.error or _error(result)
        verdicts.append(Verdict(count=count, ok=not error and result is not None and bool(result.success), error=error))
    return verdicts


def frame(counts: Sequence[Count]) -> Any:
    """What Great Expectations gets to see of a table: for each rule the share of good values, or the number of rows."""
    import pandas as pd

    return pd.DataFrame({c.rule.name: [c.judged if c.rule.expectation == ROW_COUNT else c.good] for c in counts})


def suite(name: str, counts: Sequence[Count]) -> Any:
    """One expectation for each column of `frame`."""
    import great_expectations as gx

    return gx.ExpectationSuite(name=name, expectations=[_expectation(count) for count in counts])


def _expectation(count: Count) -> Any:
    """What is expected of a rule's column: enough good values, or rows within bounds."""
    from great_expectations.expectations.core.expect_column_min_to_be_between import ExpectColumnMinToBeBetween

    rule = count.rule
    bounds = rule.kwargs if rule.expectation == ROW_COUNT else {"min_value": rule.kwargs.get(MOSTLY, 1.0)}
    return ExpectColumnMinToBeBetween(
        column=rule.name, **bounds, meta={"rule": rule.name}, notes=rule.description or None
    )


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
    asset = in_memory().data_sources.add_pandas("tables").add_dataframe_asset("table")
    return asset.add_batch_definition_whole_dataframe("whole")


def in_memory() -> Any:
    """A context of Great Expectations that keeps nothing on disk and draws no progress bars."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from tqdm import tqdm

    # The bars, hidden or not, have a lock; their own is a semaphore of the system, which a killed process leaves behind.
    tqdm.set_lock(threading.RLock())
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


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
