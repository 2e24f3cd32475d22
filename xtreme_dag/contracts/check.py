"""The stage that holds a canonical table against its contract."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from xtreme_dag.contracts.columns import Facts, Rows, batches, values_at
from xtreme_dag.contracts.cross import across_languages, sketch
from xtreme_dag.contracts.engine import MOSTLY, Verdict
from xtreme_dag.contracts.odcs import Contract, Rule, read_contract
from xtreme_dag.contracts.questions import verdicts_of_many
from xtreme_dag.contracts.whole import Whole
from xtreme_dag.core.context import StageContext
from xtreme_dag.engine.gates import write_verdict
from xtreme_dag.tables.canonical import ROW_GROUP, StoredTable, write_tables

FIRST = 5  # ids named for each rule
REFERENCE = "reference/"


def check(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Writes `outcome.json`, the gate's verdict, and `quarantine.parquet` with the offending rows if there are any.

    It does not raise on a violation: the verdict is negative, and the engine stops what comes after. The outcome names
    neither the contract's version nor its text, so an edited contract with the same verdict gives the same bytes.

    Args:
        params: `dataset`, `language`, `split`, `source` (kind), `limit` (rows or null).
        inputs: `table`: the prepared folder; `contract`: the ODCS file. Optional, `reference/<language>`: prepared
            folders of other languages of the split, to which the rules across languages then hold this one; without
            them a changed row in one language's file checks that language alone again.
        context: the stage's surroundings.

    Returns:
        Number of rules and of violations, for the manifest.
    """
    table = StoredTable(inputs["table"])
    counts = json.loads((inputs["table"] / "counts.json").read_text())
    contract = read_contract(inputs["contract"])
    known = facts(params, counts, contract)
    outcome, broken = judge(table, contract, known, params)
    outcome["rules"] += _against_references(table, contract, known, inputs)
    outcome["ok"] = all(entry["ok"] or entry["severity"] != "error" for entry in outcome["rules"])
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


def _against_references(
    table: StoredTable, contract: Contract, known: Facts, inputs: Mapping[str, Path]
) -> list[dict[str, Any]]:
    """What the rules across languages find between a table and those that were given with it."""
    folders = {name.removeprefix(REFERENCE): path for name, path in inputs.items() if name.startswith(REFERENCE)}
    if not folders:
        return []
    own = known.language
    sketches = {code: sketch(StoredTable(path), known.kind, code) for code, path in sorted(folders.items())}
    sketches[own] = sketch(table, known.kind, own)
    found = across_languages(
        sketches, parallel=contract.parallel, same_labels=contract.same_labels, references=sorted(folders)
    )
    return found.get(own, [])


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
        limited=params.get("limit") is not None,
        parts=tuple(counts.get("parts", ())),
    )


Case: TypeAlias = tuple[Whole, Facts, Mapping[str, Any]]  # a table, what is known about it, its parameters
Judgement: TypeAlias = tuple[dict[str, Any], dict[str, Rows]]


def judge(table: Whole, contract: Contract, known: Facts, params: Mapping[str, Any]) -> Judgement:
    """Holds a table against the rules of a contract.

    Returns:
        The outcome; and rule -> the rows that violate it, of the rules that stop what depends on the table.
    """
    return judge_many(contract, [(table, known, params)])[0]


def judge_many(contract: Contract, cases: Sequence[Case]) -> list[Judgement]:
    """The same for several tables under one contract, which takes less time if they are small."""
    rules = [tolerant(contract, known.language) for _, known, _ in cases]
    asked = [(table, of_table, known) for (table, known, _), of_table in zip(cases, rules, strict=True)]
    return [
        _judgement(table, of_table, found, params)
        for (table, _, params), of_table, found in zip(cases, rules, verdicts_of_many(asked), strict=True)
    ]


def _judgement(table: Whole, rules: Sequence[Rule], found: Sequence[Verdict], params: Mapping[str, Any]) -> Judgement:
    entries = [_entry(rule, verdict, table) for rule, verdict in zip(rules, found, strict=True)]
    outcome = {
        "ok": all(entry["ok"] or entry["severity"] != "error" for entry in entries),
        **{name: params[name] for name in ("dataset", "language", "split")},
        "rows": len(table),
        "rules": entries,
    }
    stopping = [v for rule, v in zip(rules, found, strict=True) if rule.severity == "error" and not v.ok]
    return outcome, {verdict.rule: verdict.rows for verdict in stopping if len(verdict.rows)}


def tolerant(contract: Contract, language: str) -> list[Rule]:
    """The rules of a contract, each with the share of rows that must satisfy it in a language."""
    return [
        replace(rule, kwargs={**rule.kwargs, MOSTLY: 1 - rule.tolerance[language]})
        if language in rule.tolerance
        else rule
        for rule in contract.rules
    ]


def quarantine(table: Whole, broken: Mapping[str, Rows]) -> Iterator[pa.Table]:
    """The offending rows of a table with a column `rules` that names what each one violates, a row group at a time.

    Args:
        table: what was judged.
        broken: rule -> offending rows, ascending; in the order of the contract.
    """
    held: list[pa.Table] = []
    start = 0
    for batch in batches(table):
        named: dict[int, list[str]] = {}
        for rule, rows in broken.items():
            low, high = np.searchsorted(rows, (start, start + len(batch)))
            for row in (rows[low:high] - start).tolist():
                named.setdefault(row, []).append(rule)
        start += len(batch)
        if named:
            order = sorted(named)
            offending = batch.take(pa.array(order, pa.int64()))
            names = pa.array([named[row] for row in order], pa.list_(pa.string()))
            held.append(offending.append_column("rules", names))
        whole = pa.concat_tables(held).combine_chunks() if held else None
        if whole is not None and len(whole) >= ROW_GROUP:
            yield whole.slice(0, ROW_GROUP)
            held = [whole.slice(ROW_GROUP)]
    if sum(map(len, held)):
        yield pa.concat_tables(held).combine_chunks()


def _entry(rule: Rule, verdict: Verdict, table: Whole) -> dict[str, Any]:
    entry: dict[str, Any] = {"rule": rule.name, "ok": verdict.ok, "severity": rule.severity}
    entry["count"] = len(verdict.rows) or int(not verdict.ok)
    entry["first_ids"] = values_at(table, "id", verdict.rows[:FIRST])
    if verdict.error:
        entry["error"] = verdict.error
    return entry
