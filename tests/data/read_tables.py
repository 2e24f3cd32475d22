"""Short ways to locate, prepare and check a table in tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.data import release_files as release
from tests.workers import shared_worker
from xtreme_dag.catalogue.catalogue import Catalogue, load_catalogue
from xtreme_dag.catalogue.languages import languages
from xtreme_dag.catalogue.sources import Source, open_source
from xtreme_dag.contracts.check import check, judged, quarantine, tolerant
from xtreme_dag.contracts.columns import Facts
from xtreme_dag.contracts.counts import count
from xtreme_dag.contracts.odcs import contract_path, read_contract
from xtreme_dag.core.context import StageContext
from xtreme_dag.core.home import Home
from xtreme_dag.data.prepare.prepare import canonical, prepare
from xtreme_dag.engine.execute import Executor
from xtreme_dag.program.survey import Survey, Table
from xtreme_dag.tables.canonical import SCHEMAS


def params_of(source: Source, dataset: str, language: str, split: str, limit: int | None = None) -> tuple[dict, Any]:
    entry = load_catalogue().dataset(dataset)
    located = source.locate(entry, language, split)
    facts = {"dataset": dataset, "language": language, "split": split, "format": entry.format}
    return {**located.params, **facts, "labels": list(entry.labels), "limit": limit, "limit_seed": 0}, located


def read_table(folder: Path, dataset: str, language: str, split: str, limit: int | None = None) -> pa.Table:
    return read_with_counts(folder, dataset, language, split, limit)[0]


def read_with_counts(
    folder: Path, dataset: str, language: str, split: str, limit: int | None = None
) -> tuple[pa.Table, dict[str, Any]]:
    source = open_source("folder", {"path": str(folder)})
    params, located = params_of(source, dataset, language, split, limit)
    return canonical(params, located.files, {})


def prepared(folder: Path, out: Path, dataset: str, language: str, split: str, limit: int | None = None) -> Path:
    source = open_source("folder", {"path": str(folder)})
    params, located = params_of(source, dataset, language, split, limit)
    out.mkdir(parents=True, exist_ok=True)
    prepare(params, located.files, StageContext(out=out, scratch=out))
    return out


def checked(table: Path, out: Path, dataset: str, language: str, split: str, contract: Path | None = None) -> dict:
    out.mkdir(parents=True, exist_ok=True)
    params = {"dataset": dataset, "language": language, "split": split, "source": "folder", "limit": None}
    inputs = {"table": table, "contract": contract or contract_path(dataset)}
    check(params, inputs, StageContext(out=out, scratch=out))
    return json.loads((out / "outcome.json").read_text())


def surveyed(folder: Path, *datasets: str, catalogue: Catalogue | None = None) -> list[Table]:
    """What a survey finds in a folder; what did not change there since the last one is cached."""
    source = open_source("folder", {"path": str(folder)})
    survey = Survey.of(catalogue or load_catalogue(), source, datasets=datasets)
    return survey.run(Executor(Home(folder / ".home").ensure(), "survey", shared_worker()))


def facts_of(table: pa.Table, dataset: str, language: str = "en", **given: Any) -> Facts:
    """What is known of a table that comes from no file."""
    kind = load_catalogue().dataset(dataset).format
    script = getattr(languages().get(language), "script", None)
    return Facts(
        **{"kind": kind, "language": language, "read": len(table), "published": None, "whole": False,
           "labelled": True, "script": script, **given}
    )  # fmt: skip


def verdicts(table: pa.Table, dataset: str, language: str = "en", **given: Any) -> tuple[dict[str, dict], pa.Table]:
    """Rule -> outcome of a table under the contract of a dataset, and the quarantined rows."""
    where = {"dataset": dataset, "language": language, "split": "test"}
    known = facts_of(table, dataset, language, **given)
    rules = tolerant(read_contract(contract_path(dataset)), language, len(table), known.read)
    outcome, broken = judged(table, count(table, rules, known), where)
    rows = list(quarantine(table, broken))
    return {rule["rule"]: rule for rule in outcome["rules"]}, pa.concat_tables(rows) if rows else table.slice(0, 0)


def good(dataset: str, language: str = "en", rows: int = 24) -> pa.Table:
    """A table that keeps the contract of a dataset."""
    entry = load_catalogue().dataset(dataset)
    labels = entry.labels or ("0", "1")
    base = [{"id": f"i{n}", "language": language, "split": "test"} for n in range(rows)]

    def text(name, n):
        return release.text(language, f"{name} {n}")

    made = {
        "pair_classification": lambda n: {"text_a": text("a", n), "text_b": text("b", n), "label": labels[n % len(labels)]},
        "multiple_choice": lambda n: {"context": text("c", n), "question": "", "choices": [text("x", n), text("y", n)], "label": n % 2},
        "tagging": lambda n: {"words": release.words(language, str(n)), "tags": list(release.NER if dataset == "panx" else release.UPOS)},
        "span_qa": lambda n: {"title": "", "context": text("c", n), "question": text("q", n), "answers": [{"text": text("c", n)[2:5], "start": 2}], "answerable": True},
        "parallel": lambda n: {"text": text("f", n), "english": release.text("en", f"z{n}")},
        "plain_text": lambda n: {"text": text("f", n), "document": "0"},
        "parallel_text": lambda n: {"text": text("f", n), "english": release.text("en", f"z{n}"), "document": "0", "turn": n},
        "bitext_mining": lambda n: {"side": ("foreign", "english")[n % 2], "text": release.text((language, "en")[n % 2], str(n)), "gold": [f"i{n ^ 1}"] if n < 8 else []},
        "qa_retrieval": lambda n: {"side": ("question", "candidate")[n % 2], "text": text("s", n), "context": text("s", n) if n % 2 else None, "gold": [] if n % 2 else [f"i{n + 1}"]},
        "entity_linking": lambda n: {"side": ("mention", "entity")[n % 2], "text": text("s", n), "context": text("s", n), "gold": [] if n % 2 else [f"i{n + 1}"]},
        "dialogue_state": lambda n: {"dialogue": f"d{n // 6}", "turn": n % 6, "system": "", "acts": [], "text": text("t", n), "labels": [] if n % 6 else ["food=thai"], "state": ["food=thai"]},
    }[entry.format]  # fmt: skip
    return pa.Table.from_pylist([{**row, **made(n)} for n, row in enumerate(base)], schema=SCHEMAS[entry.format])


def changed(table: pa.Table, row: int, **values: Any) -> pa.Table:
    """The table with other values in a row."""
    rows = table.to_pylist()
    rows[row] |= values
    return pa.Table.from_pylist(rows, schema=table.schema)


def every(table: pa.Table, **values: Any) -> pa.Table:
    """The table with the same values in every row."""
    return pa.Table.from_pylist([{**row, **values} for row in table.to_pylist()], schema=table.schema)
