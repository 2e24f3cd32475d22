"""The stage that holds a canonical table against its contract."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from xtreme_dag.data.canonical import read_table, write_table
from xtreme_dag.data.contracts.cross import across_languages, sketch
from xtreme_dag.data.contracts.engine import Verdict, evaluate
from xtreme_dag.data.contracts.measures import Facts, measure
from xtreme_dag.data.contracts.odcs import Contract, Rule, read_contract
from xtreme_dag.stages.context import StageContext

FIRST = 5  # ids named for each rule
MEASURE = "measure."
REFERENCE = "reference/"


def check(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Writes `outcome.json`, and `quarantine.parquet` with the offending rows if there are any.

    It does not raise on a violation: `ok` is false, and the stages room stops what comes after. The outcome names
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
    table = read_table(inputs["table"])
    counts = json.loads((inputs["table"] / "counts.json").read_text())
    contract = read_contract(inputs["contract"])
    known = facts(params, counts, contract)
    outcome, quarantine = judge(table, contract, known, params)
    outcome["rules"] += _against_references(table, contract, known, inputs)
    outcome["ok"] = all(entry["ok"] or entry["severity"] != "error" for entry in outcome["rules"])
    (context.out / "outcome.json").write_text(json.dumps(outcome, indent=1, ensure_ascii=False) + "\n")
    if len(quarantine):
        write_table(quarantine, context.out / "quarantine.parquet")
    return {"rules": len(outcome["rules"]), "violations": sum(not rule["ok"] for rule in outcome["rules"])}


def _against_references(
    table: pa.Table, contract: Contract, known: Facts, inputs: Mapping[str, Path]
) -> list[dict[str, Any]]:
    """What the rules across languages find between a table and those that were given with it."""
    folders = {name.removeprefix(REFERENCE): path for name, path in inputs.items() if name.startswith(REFERENCE)}
    if not folders:
        return []
    own = known.language
    sketches = {code: sketch(read_table(path), known.kind, code) for code, path in sorted(folders.items())}
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
    )


def judge(
    table: pa.Table, contract: Contract, known: Facts, params: Mapping[str, Any]
) -> tuple[dict[str, Any], pa.Table]:
    """Holds a table against the rules of a contract.

    Returns:
        The outcome, and the offending rows of the table with a column `rules` that names what each one violates.
    """
    rules, frame, broken = prepared(table, contract, known)
    runnable = [rule for rule in rules if rule.name not in broken]
    found = {verdict.rule: verdict for verdict in evaluate(runnable, frame)} if runnable else {}
    verdicts = [found.get(rule.name) or Verdict(rule=rule.name, ok=False, error=broken[rule.name]) for rule in rules]
    entries = [_entry(rule, verdict, table) for rule, verdict in zip(rules, verdicts, strict=True)]
    outcome = {
        "ok": all(entry["ok"] or entry["severity"] != "error" for entry in entries),
        **{name: params[name] for name in ("dataset", "language", "split")},
        "rows": len(table),
        "rules": entries,
    }
    return outcome, _quarantine(table, rules, verdicts)


def prepared(table: pa.Table, contract: Contract, known: Facts) -> tuple[list[Rule], Any, dict[str, str]]:
    """What Great Expectations gets to see of a table.

    Returns:
        The rules with the tolerance of the language; the columns that they name, as pandas; and the rules whose
        measure could not be taken, with the reason.
    """
    rules = [_tolerant(rule, known.language) for rule in contract.rules]
    return rules, *_frame(table, rules, known)


def _tolerant(rule: Rule, language: str) -> Rule:
    """A rule with the share of rows that must satisfy it in a language."""
    share = rule.tolerance.get(language)
    return rule if share is None else replace(rule, kwargs={**rule.kwargs, "mostly": 1 - share})


def _frame(table: pa.Table, rules: Sequence[Rule], known: Facts) -> tuple[Any, dict[str, str]]:
    """The columns that the rules name, as pandas; and the rules whose measure could not be taken, with the reason.

    Ids are numbers there, one for each different id: that is all that uniqueness asks, at a tenth of the memory. Other
    texts are categories.
    """
    columns: dict[str, pa.Array | pa.ChunkedArray] = {"id": _codes(table["id"])}
    broken: dict[str, str] = {}
    for rule in rules:
        name = rule.kwargs.get("column", "")
        if name in columns:
            continue
        if name.startswith(MEASURE):
            try:
                columns[name] = measure(name.removeprefix(MEASURE), table, known)
            except Exception as error:  # an error inside a check is reported as such, it is not a pass
                broken[rule.name] = f"{type(error).__name__}: {error}"
        elif name in table.column_names:
            texts = pa.types.is_string(table.schema.field(name).type)
            columns[name] = table[name].dictionary_encode() if texts else table[name]
    return pa.table(columns).to_pandas(), broken


def _codes(ids: pa.ChunkedArray) -> pa.Array:
    """The row of each id's first occurrence: equal ids have equal numbers, others differ."""
    hashes = np.zeros(len(ids), dtype=np.int64)
    start = 0
    for chunk in ids.chunks:
        hashes[start : start + len(chunk)] = np.fromiter(map(hash, chunk.to_pylist()), np.int64, len(chunk))
        start += len(chunk)
    codes = np.arange(len(hashes))
    order = np.argsort(hashes, kind="stable")
    equal = hashes[order][1:] == hashes[order][:-1]
    suspects = np.unique(np.concatenate([order[1:][equal], order[:-1][equal]]))
    first: dict[str, int] = {}
    for row, name in zip(suspects.tolist(), ids.take(pa.array(suspects, pa.int64())).to_pylist(), strict=True):
        codes[row] = first.setdefault(name, row)
    return pa.array(codes)


def _entry(rule: Rule, verdict: Verdict, table: pa.Table) -> dict[str, Any]:
    entry: dict[str, Any] = {"rule": rule.name, "ok": verdict.ok, "severity": rule.severity}
    entry["count"] = len(verdict.rows) or int(not verdict.ok)
    entry["first_ids"] = [table["id"][n].as_py() for n in verdict.rows[:FIRST]]
    if verdict.error:
        entry["error"] = verdict.error
    return entry


def _quarantine(table: pa.Table, rules: Sequence[Rule], verdicts: Sequence[Verdict]) -> pa.Table:
    named: dict[int, list[str]] = {}
    for rule, verdict in zip(rules, verdicts, strict=True):
        if rule.severity == "error" and not verdict.ok:
            for row in verdict.rows:
                named.setdefault(row, []).append(rule.name)
    rows = sorted(named)
    offending = table.take(pa.array(rows, pa.int64())) if rows else table.slice(0, 0)
    return offending.append_column("rules", pa.array([named[row] for row in rows], pa.list_(pa.string())))
