"""What `xtreme-dag data` prints, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.program.commands.sources import PIN
from xtreme_dag.program.output import table

if TYPE_CHECKING:
    from xtreme_dag.catalogue.catalogue import Dataset
    from xtreme_dag.catalogue.sources import Located, Source
    from xtreme_dag.program.survey import Table

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
    """Where a source has the languages of a split, or why it cannot give them (a commit is not pinned)."""
    try:
        return [source.locate(dataset, code, split) for code in here], ""
    except UserError as error:
        return [], error.what


def listed_text(found: Sequence[dict[str, Any]], *, detailed: bool) -> Iterator[str]:
    """The table of `data ls`; if detailed, with what each dataset is and the languages that are missing."""
    rows = []
    for entry in found:
        for split in entry["splits"]:
            here = f"{len(split['here'])} of {len(split['here']) + len(split['missing'])}"
            get = "" if split["here"] else f"get: {entry['get']}"
            stand_in = f"stand-in: {split['stand_in']}" if split["stand_in"] else ""
            said = split["wanting"] or stand_in or split["notes"] or get
            rows.append((entry["dataset"], entry["format"], split["split"], split["use"], here, said))
    yield table(("dataset", "format", "split", "use", "languages", "what is here"), rows)
    if any(split["wanting"] for entry in found for split in entry["splits"]):
        yield f"\n{PIN}"
    for entry in found if detailed else ():
        yield f"\n{entry['dataset']}: {entry['title']}; licence: {entry['licence']}"
        for split in entry["splits"]:
            if split["missing"]:
                yield f"missing in {entry['dataset']} {split['split']}: {' '.join(split['missing'])}"
        if any(split["missing"] for split in entry["splits"]):
            yield f"to get it: {entry['get']}"


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


def checked_text(tables: Sequence[Table]) -> Iterator[str]:
    """The table of `data check`, and a last line that sums it up."""
    rows = []
    for one in tables:
        verdict = "VIOLATED" if one.violations else "ok"
        said = [_said(rule) for rule in (*one.violations, *one.warnings)]
        said += [f"stand-in: {one.stand_in}"] if one.stand_in else []
        counts = (str(one.counts.get("rows", "-")), str(one.counts.get("read", "-")))
        rows.append((one.dataset, one.language, one.split, *counts, verdict, "; ".join([*said, *one.notes])))
    yield table(("dataset", "language", "split", "rows", "read", "verdict", ""), rows)
    violated = sum(bool(one.violations) for one in tables)
    rules = sum(len(one.rules) for one in tables)
    yield f"\n{len(tables)} tables, {rules} rules evaluated, {violated} tables violate their contract"


def _said(rule: dict[str, Any]) -> str:
    if "error" in rule:
        return f"{rule['rule']}: {' '.join(rule['error'].split())}"
    ids = f" ({', '.join(rule['first_ids'])})" if rule["first_ids"] else ""
    against = f" against {rule['against']}" if rule.get("against") else ""
    weight = "" if not rule["ok"] and rule["severity"] == "error" else "warning, "
    return f"{weight}{rule['rule']}: {rule['count']}{against}{ids}"


def shown_text(dataset: Dataset, report: dict[str, Any]) -> Iterator[str]:
    """What `data show` found."""
    yield f"{dataset.title}\n{dataset.name} {report['language']} {report['split']}, {dataset.format}"
    if report["other_splits"]:
        yield f"other splits (--split): {' '.join(report['other_splits'])}"
    for name in ("stand_in", "notes"):
        if report[name]:
            yield f"{name.replace('_', '-')}: {report[name]}"
    counts = report["counts"]
    yield f"rows: {counts['rows']} (examples in the files: {counts['read']})"
    for name in ("labels", "tokens", "sides", "repeated_ids"):
        if name in counts:
            yield f"{name}: {json.dumps(counts[name], ensure_ascii=False)}"
    for why, ids in counts.get("left_out", {}).items():
        yield f"left out: {len(ids)} {why.replace('_', ' ')} ({', '.join(ids[:3])})"
    yield f"length in {report['unit']}: " + ", ".join(f"{key} {value}" for key, value in report["length"].items())
    for row in report["rows"]:
        yield "\n" + "\n".join(f"  {key}: {_short(value)}" for key, value in row.items())


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 300 else text[:297] + "..."
