"""One HTML page of contracts and their outcomes; it loads nothing, from this machine or another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from xtreme_dag.contracts.odcs import Contract

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bad: #b3261e; --good: #1b7f4b; --warn: #8a5a00; --soft: #8881; }
@media (prefers-color-scheme: dark) { :root { --bad: #f2766c; --good: #5cc88f; --warn: #e0b050; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .3rem; }
p { margin: .2rem 0; } .told { opacity: .75; } code { font-size: .9em; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; position: sticky; top: 0; background: Canvas; } td.n { text-align: right; }
.bad { color: var(--bad); font-weight: 600; } .good { color: var(--good); } .warn { color: var(--warn); }
details { margin: .3rem 0; } summary { cursor: pointer; } nav a { margin-right: .8rem; white-space: nowrap; }
.scroll { overflow-x: auto; }
"""


def page(
    contracts: Sequence[tuple[Contract, Mapping[str, Any]]], tables: Sequence[Mapping[str, Any]], title: str
) -> str:
    """The page as text.

    Args:
        contracts: each contract with its document.
        tables: as `data check --json` prints them; empty for a page of contracts alone.
        title: what was checked.
    """
    by_dataset: dict[str, list[Mapping[str, Any]]] = {}
    for table in tables:
        by_dataset.setdefault(table["dataset"], []).append(table)
    links = " ".join(
        f'<a href="#{escape(contract.dataset)}" class="{_class(by_dataset.get(contract.dataset, ()))}">'
        f"{escape(contract.dataset)}</a>"
        for contract, _ in contracts
    )
    sections = "".join(
        _section(contract, document, by_dataset.get(contract.dataset, ())) for contract, document in contracts
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{escape(title)}</h1><p>{_summary(tables)}</p><nav>{links}</nav>{sections}</html>\n"
    )


def _summary(tables: Sequence[Mapping[str, Any]]) -> str:
    if not tables:
        return "Contracts only: nothing was checked."
    bad = sum(not table["ok"] for table in tables)
    verdict = (
        f'<span class="bad">{bad} violate their contract</span>' if bad else '<span class="good">all satisfied</span>'
    )
    rules = sum(len(table["rules"]) for table in tables)
    return f"{len(tables)} tables, {rules} rules evaluated: {verdict}."


def _class(tables: Sequence[Mapping[str, Any]]) -> str:
    if not tables:
        return "told"
    return "good" if all(table["ok"] for table in tables) else "bad"


def _section(contract: Contract, document: Mapping[str, Any], tables: Sequence[Mapping[str, Any]]) -> str:
    told = document.get("description", {})
    properties = {entry["property"]: entry.get("value") for entry in document.get("customProperties", ())}
    head = (
        f'<h2 id="{escape(contract.dataset)}">{escape(contract.dataset)} <code>{escape(contract.version)}</code></h2>'
        f"<p>{escape(told.get('purpose', ''))}. {escape(told.get('usage', ''))}.</p>"
        f'<p class="told">{escape(told.get("limitations", ""))}</p>'
        f'<p class="told">Licence: {escape(str(properties.get("licence", "")))}. '
        f"{escape(str(properties.get('citation', '')))}.</p>"
    )
    rules = "".join(
        f"<tr><td><code>{escape(rule.name)}</code><td>{escape(rule.description)}<td>{escape(rule.severity)}"
        f"<td>{escape(_tolerance(rule.tolerance))}"
        for rule in contract.rules
    )
    head += (
        f"<details><summary>{len(contract.rules)} rules</summary><table><tr><th>rule<th>promise<th>severity<th>tolerance"
        f"{rules}</table></details>"
    )
    if not tables:
        return head
    rows = "".join(_row(table) for table in tables)
    return head + (
        '<div class="scroll"><table><tr><th>language<th>split<th>use<th>rows<th>in the files<th>verdict<th>'
        f"what there is to know{rows}</table></div>"
    )


def _row(table: Mapping[str, Any]) -> str:
    verdict = '<td class="good">ok' if table["ok"] else '<td class="bad">violated'
    said = [_said(rule) for rule in table["rules"] if not rule["ok"] or rule["count"]]
    said += [f'<span class="told">stand-in: {escape(table["stand_in"])}</span>'] if table["stand_in"] else []
    said += [f'<span class="told">{escape(note)}</span>' for note in table["notes"]]
    return (
        f"<tr><td>{escape(table['language'])}<td>{escape(table['split'])}<td>{escape(table['use'])}"
        f'<td class="n">{_number(table["rows"])}<td class="n">{_number(table["read"])}{verdict}<td>{"<br>".join(said)}'
    )


def _said(rule: Mapping[str, Any]) -> str:
    kind = "bad" if not rule["ok"] and rule["severity"] == "error" else "warn"
    name = f'<span class="{kind}">{escape(rule["rule"])}</span>'
    if "error" in rule:
        return f"{name}: <code>{escape(rule['error'])}</code>"
    against = f" against {escape(rule['against'])}" if rule.get("against") else ""
    ids = f" <code>{escape(', '.join(rule['first_ids']))}</code>" if rule["first_ids"] else ""
    return f"{name}: {rule['count']:,}{against}{ids}"


def _tolerance(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{code} {100 * share:g} %" for code, share in shares.items())


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
