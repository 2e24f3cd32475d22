"""`xtreme-dag data`: what data there are; show and check them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from xtreme_dag.benchmark.catalogue import Dataset
    from xtreme_dag.data.sources import Source
    from xtreme_dag.data.survey import Table

EXAMPLE = """\b
Examples:
  xtreme-dag data ls --source folder:download
  xtreme-dag data show xnli de --source folder:download
  xtreme-dag data check --source folder:download --dataset xnli
"""


def source_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--source`: `source: str`."""
    return click.option(
        "--source",
        default="miniworld",
        show_default=True,
        metavar="SOURCE",
        help="folder:PATH, hub, miniworld or miniworld:SEED.",
    )(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--json`: `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(command)


@click.group(name="data", epilog=EXAMPLE)
def command() -> None:
    """What data there are; show and check them."""


@command.command(name="ls", epilog="Example: xtreme-dag data ls --source folder:download --dataset xnli")
@source_option
@click.option("--dataset", "names", multiple=True, help="Only this dataset; may be given more than once.")
@json_option
def list_command(source: str, names: tuple[str, ...], as_json: bool) -> None:
    """What is in the catalogue, what a source has, what is missing and how to get it."""
    from xtreme_dag.benchmark.catalogue import load_catalogue
    from xtreme_dag.data.sources import parse_source

    catalogue, opened = load_catalogue(), parse_source(source)
    found = [_listed(catalogue.dataset(name), opened) for name in names or catalogue.datasets]
    if as_json:
        _print_json({"source": source, "datasets": found})
        return
    rows = [("dataset", "format", "split", "use", "languages", "what is here")]
    for entry in found:
        for split in entry["splits"]:
            here = f"{len(split['here'])} of {len(split['here']) + len(split['missing'])}"
            said = split["stand_in"] or split["notes"] or ("" if split["here"] else f"get: {entry['get']}")
            rows.append((entry["dataset"], entry["format"], split["split"], split["use"], here, said))
    click.echo(_aligned(rows))
    for entry in found if names else ():
        for split in entry["splits"]:
            if split["missing"]:
                click.echo(f"\nmissing in {entry['dataset']} {split['split']}: {' '.join(split['missing'])}")
                click.echo(f"  to get it: {entry['get']}")


@command.command(epilog="Example: xtreme-dag data show xquad de --source folder:download --tokenizer my-xlmr")
@click.argument("dataset")
@click.argument("language")
@click.option("--split", "name", help="Which split; by default the first that the source has.")
@click.option("--rows", "shown", default=3, show_default=True, help="How many rows to print.")
@click.option("--limit", type=int, help="Read a sample of this many rows.")
@click.option("--tokenizer", type=click.Path(exists=True, path_type=Path), help="Folder of a tokenizer or a model.")
@source_option
@json_option
def show(
    dataset: str, language: str, name: str | None, shown: int, limit: int | None, tokenizer: Path | None, source: str,
    as_json: bool,
) -> None:  # fmt: skip
    """First rows, counts, and how long the texts are (in characters, or in tokens of a tokenizer)."""
    from xtreme_dag.benchmark.catalogue import load_catalogue
    from xtreme_dag.data.lengths import length_percentiles, texts_of
    from xtreme_dag.data.prepare import canonical
    from xtreme_dag.data.sources import parse_source

    entry, opened = load_catalogue().dataset(dataset), parse_source(source)
    split = name or next(
        (one for one in entry.splits if language in opened.languages(entry, one)), next(iter(entry.splits))
    )
    located = opened.locate(entry, language, split)
    params = {
        **located.params,
        "dataset": dataset,
        "language": language,
        "split": split,
        "format": entry.format,
        "labels": list(entry.labels),
        "limit": limit,
    }
    table, counts = canonical(params, located.files, located.options)
    report = {
        "dataset": dataset,
        "language": language,
        "split": split,
        "stand_in": located.stand_in,
        "notes": located.notes,
        "counts": counts,
        "unit": "tokens" if tokenizer else "characters",
        "length": length_percentiles(texts_of(table), tokenizer),
        "rows": table.slice(0, shown).to_pylist(),
    }
    if as_json:
        _print_json(report)
        return
    _print_shown(entry, report)


@command.command(epilog="Example: xtreme-dag data check --source folder:download --dataset xnli --language de")
@source_option
@click.option("--dataset", "names", multiple=True, help="Only this dataset; may be given more than once.")
@click.option("--language", "codes", multiple=True, help="Only this language; may be given more than once.")
@json_option
def check(source: str, names: tuple[str, ...], codes: tuple[str, ...], as_json: bool) -> None:
    """Hold everything that a source has against its contracts, and tables against one another.

    Exit code 1 if a rule is violated or a file cannot be read; a warning does not count.
    """
    from xtreme_dag.benchmark.catalogue import load_catalogue
    from xtreme_dag.data.sources import parse_source
    from xtreme_dag.data.survey import survey

    quiet = as_json or not sys.stderr.isatty()
    tables = survey(
        load_catalogue(),
        parse_source(source),
        datasets=names,
        languages=codes,
        listen=(lambda name: None) if quiet else (lambda name: click.echo(f"\r\x1b[K{name}", nl=False, err=True)),
    )
    if not quiet:
        click.echo("\r\x1b[K", nl=False, err=True)
    violated = [table for table in tables if table.violations]
    if as_json:
        _print_json({"source": source, "ok": not violated, "tables": [as_json_table(table) for table in tables]})
    else:
        _print_checked(tables)
    if not tables:
        click.echo(f"{source} has no tables of the catalogue", err=True)
    if violated or not tables:
        sys.exit(1)


def _listed(dataset: Dataset, source: Source) -> dict[str, Any]:
    splits = []
    for split in dataset.splits.values():
        here = source.languages(dataset, split.name)
        located = [source.locate(dataset, code, split.name) for code in here]
        splits.append(
            {
                "split": split.name,
                "use": split.use,
                "here": list(here),
                "missing": [] if source.kind == "miniworld" else [c for c in split.languages if c not in here],
                "stand_in": "; ".join(dict.fromkeys(one.stand_in for one in located if one.stand_in)),
                "notes": "; ".join(dict.fromkeys(one.notes for one in located if one.notes)),
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
        "counts": {key: value for key, value in table.counts.items() if key not in ("labels", "rows", "read")},
        "rules": table.rules,
    }


def _print_checked(tables: Sequence[Table]) -> None:
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


def _print_shown(dataset: Dataset, report: dict[str, Any]) -> None:
    import json

    click.echo(f"{dataset.title}\n{dataset.name} {report['language']} {report['split']}, {dataset.format}")
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


def _print_json(value: Any) -> None:
    import json

    click.echo(json.dumps(value, ensure_ascii=False, indent=1))
