"""What `xtreme-dag data` prints, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from xtreme_dag.core.errors import UserError
from xtreme_dag.program.commands.sources import PIN

if TYPE_CHECKING:
    from xtreme_dag.catalogue.catalogue import Dataset
    from xtreme_dag.catalogue.sources import Located, Source
    from xtreme_dag.program.survey.survey import Table

# What `data check --json` prints of the counts of a table, besides rows and examples read.
_COUNTS = ("format", "whole", "labelled", "script", "tokens", "sides", "parts", "repeated_ids")


def listed(dataset: Dataset, source: Source) -> dict[str, Any]:
    """A dataset as `data ls --json` prints it; `wanting` says what keeps a table from being read."""
    splits = []
    for split in dataset.splits.values():
        here = source.languages(dataset, split.name)
        located, wanting = _located(dataset, source, split.name, here)
        splits.append(
            {
                "split": split.name,
                "use": split.use,
                "here": list(here),
                "missing": [] if source.kind == "miniworld" else [c for c in split.languages if c not in here],
                "stand_in": "; ".join(dict.fromkeys(one.stand_in for one in located if one.stand_in)),
                "notes": "; ".join(dict.fromkeys(one.notes for one in located if one.notes)),
                "wanting": wanting,
                "counts": dict(split.counts),
            }
        )
    return {
        "dataset": dataset.name,
        "title": dataset.title,
        "format": dataset.format,
        "labels": list(dataset.labels),
        "tokenisation": dataset.tokenisation,
        "licence": dataset.licence,
        "get": dataset.get,
        "splits": splits,
    }


def _located(dataset: Dataset, source: Source, split: str, here: Sequence[str]) -> tuple[list[Located], str]:
    """What a source says of the languages that it has, or why it can give none of them (a commit is not pinned)."""
    try:
        return [source.locate(dataset, code, split) for code in here], ""
    except UserError as error:
        return [], error.what


def print_listed(found: Sequence[dict[str, Any]], *, detailed: bool) -> None:
    """The table of `data ls`; if detailed, with what each dataset is and the languages that are missing."""
    rows = [("dataset", "format", "split", "use", "languages", "what is here")]
    for entry in found:
        for split in entry["splits"]:
            here = f"{len(split['here'])} of {len(split['here']) + len(split['missing'])}"
            get = "" if split["here"] else f"get: {entry['get']}"
            stand_in = f"stand-in: {split['stand_in']}" if split["stand_in"] else ""
            said = split["wanting"] or stand_in or split["notes"] or get
            rows.append((entry["dataset"], entry["format"], split["split"], split["use"], here, said))
    click.echo(_aligned(rows))
    if any(split["wanting"] for entry in found for split in entry["splits"]):
        click.echo(f"\n{PIN}")
    for entry in found if detailed else ():
        click.echo(f"\n{entry['dataset']}: {entry['title']}; licence: {entry['licence']}")
        for split in entry["splits"]:
            if split["missing"]:
                click.echo(f"missing in {entry['dataset']} {split['split']}: {' '.join(split['missing'])}")
        if any(split["missing"] for split in entry["splits"]):
            click.echo(f"to get it: {entry['get']}")


def as_json_table(table: Table) -> dict[str, Any]:
    """A checked table as `data check --json` prints it."""
    return {
        "dataset": table.dataset,
        "language": table.language,
        "split": table.split,
        "use": table.use,
        "ok": not table.violations,
        "rows": table.counts.get("rows"),
        "read": table.counts.get("read"),
        "stand_in": table.stand_in,
        "notes": table.notes,
        "files": table.files,
        "counts": {key: table.counts[key] for key in _COUNTS if key in table.counts},
        "rules": table.rules,
    }


def print_checked(tables: Sequence[Table]) -> None:
    """The table of `data check`, and a last line that sums it up."""
    rows = [("dataset", "language", "split", "rows", "read", "verdict", "")]
    for table in tables:
        verdict = "VIOLATED" if table.violations else "ok"
        said = [_said(rule) for rule in (*table.violations, *table.warnings)]
        said += [f"stand-in: {table.stand_in}"] if table.stand_in else []
        counts = (str(table.counts.get("rows", "-")), str(table.counts.get("read", "-")))
        rows.append((table.dataset, table.language, table.split, *counts, verdict, "; ".join([*said, *table.notes])))
    click.echo(_aligned(rows))
    violated = sum(bool(table.violations) for table in tables)
    rules = sum(len(table.rules) for table in tables)
    click.echo(f"\n{len(tables)} tables, {rules} rules evaluated, {violated} tables violate their contract")


def _said(rule: dict[str, Any]) -> str:
    if "error" in rule:
        return f"{rule['rule']}: {' '.join(rule['error'].split())}"
    ids = f" ({', '.join(rule['first_ids'])})" if rule["first_ids"] else ""
    against = f" against {rule['against']}" if rule.get("against") else ""
    weight = "" if not rule["ok"] and rule["severity"] == "error" else "warning, "
    return f"{weight}{rule['rule']}: {rule['count']}{against}{ids}"


def print_shown(dataset: Dataset, report: dict[str, Any]) -> None:
    """What `data show` found."""
    click.echo(f"{dataset.title}\n{dataset.name} {report['language']} {report['split']}, {dataset.format}")
    if report["other_splits"]:
        click.echo(f"other splits (--split): {' '.join(report['other_splits'])}")
    for name in ("stand_in", "notes"):
        if report[name]:
            click.echo(f"{name.replace('_', '-')}: {report[name]}")
    counts = report["counts"]
    click.echo(f"rows: {counts['rows']} (examples in the files: {counts['read']})")
    for name in ("labels", "tokens", "sides", "repeated_ids"):
        if name in counts:
            click.echo(f"{name}: {json.dumps(counts[name], ensure_ascii=False)}")
    click.echo(f"length in {report['unit']}: " + ", ".join(f"{key} {value}" for key, value in report["length"].items()))
    for row in report["rows"]:
        click.echo("\n" + "\n".join(f"  {key}: {_short(value)}" for key, value in row.items()))


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 300 else text[:297] + "..."


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """A table as text; the last column is not padded."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    )


def print_json(value: Any) -> None:
    """One JSON document."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=1))
