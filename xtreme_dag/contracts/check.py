"""The check stage: hold a canonical table against its contract."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from xtreme_dag.contracts.columns import Facts, Rows, batches, values_at
from xtreme_dag.contracts.counts import MOSTLY, Count, count
from xtreme_dag.contracts.engine import Verdict, judge
from xtreme_dag.contracts.odcs import Contract, Rule, contract_from, read_contract
from xtreme_dag.contracts.tolerance import most
from xtreme_dag.contracts.whole import Whole
from xtreme_dag.core.context import StageContext
from xtreme_dag.engine.gates import write_verdict
from xtreme_dag.tables.canonical import StoredTable, row_groups, write_tables

FIRST = 5  # ids named for each rule


def check(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Writes `outcome.json`, the gate's verdict, and `quarantine.parquet` with the offending rows if there are any.

    It does not raise on a violation: the verdict is negative, and the engine stops what comes after. The outcome names
    neither the contract's version nor its text, so an edited contract with the same verdict gives the same bytes.

    Args:
        params: `dataset`, `language`, `split`, `source` (kind), `limit` (rows or null); `contract`: the ODCS document,
            for a dataset without a file.
        inputs: `table`: the prepared folder; `contract`: the ODCS file, if there is one.
        context: the stage's surroundings.

    Returns:
        Number of rules and of violations, for the manifest.
    """
    table = StoredTable(inputs["table"])
    counts = json.loads((inputs["table"] / "counts.json").read_text())
    if "contract" in inputs:
        contract = read_contract(inputs["contract"])
    else:
        contract = contract_from(params["contract"], Path(params["dataset"]))
    outcome, broken = judged(table, counted(inputs["table"], contract, params), params)
    outcome["rules"] += left_out(counts.get("left_out", {}))
    (context.out / "outcome.json").write_text(json.dumps(outcome, indent=1, ensure_ascii=False) + "\n")
    write_verdict(context.out, "" if outcome["ok"] else _said(outcome["rules"]))
    if broken:
        write_tables(quarantine(table, broken), context.out / "quarantine.parquet")
    return {"rules": len(outcome["rules"]), "violations": sum(not rule["ok"] for rule in outcome["rules"])}


def _said(rules: Iterable[Mapping[str, Any]]) -> str:
    """The rules that do not hold, each with its count and its first ids, in a line."""
    broken = [
        f"{rule['rule']} ({rule['count']}: {', '.join(rule['first_ids'][:3])})" for rule in rules if not rule["ok"]
    ]
    return f"contract violated: {'; '.join(broken)}"


def left_out(examples: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """What the reader of a table left out as a known defect of the release, as entries of an outcome: warnings.

    Args:
        examples: reason -> ids, or where the examples stand.
    """
    return [
        {
            "rule": f"{why}_left_out",
            "ok": True,
            "severity": "warning",
            "count": len(ids),
            "first_ids": list(ids[:FIRST]),
        }
        for why, ids in examples.items()
    ]


def facts(params: Mapping[str, Any], counts: Mapping[str, Any], contract: Contract) -> Facts:
    """What a check knows about a table besides its rows; see `check` and `prepare` for the keys."""
    return Facts(
        kind=counts["format"],
        language=params["language"],
        read=counts["read"],
        published=contract.count(params["split"], params["language"]),
        whole=counts["whole"],
        labelled=counts["labelled"],
        script=counts["script"],
        parts=tuple(counts.get("parts", ())),
    )


def counted(folder: Path, contract: Contract, params: Mapping[str, Any]) -> list[Count]:
    """What is counted in a prepared table for each rule of a contract.

    Args:
        folder: the artifact of `prepare`.
        contract: the dataset's.
        params: `language`, `split`, `limit`; see `check`.
    """
    known = facts(params, json.loads((folder / "counts.json").read_text()), contract)
    table = StoredTable(folder)
    return count(table, tolerant(contract, known.language, len(table), known.read), known)


def judged(table: Whole, counts: Sequence[Count], params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Rows]]:
    """The outcome of a table, given what was counted in it.

    Returns:
        The outcome; and rule -> the rows that violate it, of the rules that stop what depends on the table.
    """
    verdicts = judge(counts)
    entries = [_entry(verdict, table) for verdict in verdicts]
    outcome = {
        "ok": all(entry["ok"] or entry["severity"] != "error" for entry in entries),
        **{name: params[name] for name in ("dataset", "language", "split")},
        "rows": len(table),
        "rules": entries,
    }
    stopping = [one.count for one in verdicts if one.count.rule.severity == "error" and not one.ok]
    return outcome, {one.rule.name: one.rows for one in stopping if len(one.rows)}


def tolerant(contract: Contract, language: str, rows: int, read: int) -> list[Rule]:
    """The rules of a contract, each with the share of rows that must satisfy it in a language.

    A tolerated share is that of the whole table: a sample of it has more by chance.

    Args:
        contract: the dataset's.
        language: the table's.
        rows: how many rows it has.
        read: how many its files have.
    """
    rules = []
    for rule in contract.rules:
        if language in rule.tolerance:
            share = rule.tolerance[language]
            if 0 < rows < read:
                share = min(1.0, most(rows, share) / rows)
            rule = replace(rule, kwargs={**rule.kwargs, MOSTLY: 1 - share})
        rules.append(rule)
    return rules


def quarantine(table: Whole, broken: Mapping[str, Rows]) -> Iterator[pa.Table]:
    """The offending rows of a table with a column `rules` that names what each one violates, a row group at a time.

    Args:
        table: what was judged.
        broken: rule -> offending rows, ascending; in the order of the contract.
    """
    return row_groups(_offending(table, broken)) if broken else iter(())


def _offending(table: Whole, broken: Mapping[str, Rows]) -> Iterator[pa.Table]:
    start = 0
    for batch in batches(table):
        named: dict[int, list[str]] = {}
        for rule, rows in broken.items():
            low, high = np.searchsorted(rows, (start, start + len(batch)))
            for row in (rows[low:high] - start).tolist():
                named.setdefault(row, []).append(rule)
        start += len(batch)
        order = sorted(named)
        names = pa.array([named[row] for row in order], pa.list_(pa.string()))
        yield batch.take(pa.array(order, pa.int64())).append_column("rules", names)


def _entry(verdict: Verdict, table: Whole) -> dict[str, Any]:
    rule, rows = verdict.count.rule, verdict.count.rows
    entry: dict[str, Any] = {"rule": rule.name, "ok": verdict.ok, "severity": rule.severity}
    entry["count"] = len(rows) or int(not verdict.ok)
    entry["first_ids"] = values_at(table, "id", rows[:FIRST])
    if verdict.error:
        entry["error"] = verdict.error
    return entry
