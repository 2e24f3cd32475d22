"""Short ways to locate, prepare and check a table in tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from xtreme_dag.benchmark.catalogue import load_catalogue
from xtreme_dag.benchmark.languages import languages
from xtreme_dag.data.contracts.check import check, judge
from xtreme_dag.data.contracts.measures import Facts
from xtreme_dag.data.contracts.odcs import contract_path, read_contract
from xtreme_dag.data.prepare import canonical, prepare
from xtreme_dag.data.sources import Source, open_source
from xtreme_dag.stages.context import StageContext


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


def verdicts(table: pa.Table, dataset: str, language: str = "en", **given: Any) -> tuple[dict[str, dict], pa.Table]:
    """Rule -> outcome of a table under the contract of a dataset, and the quarantined rows."""
    kind = load_catalogue().dataset(dataset).format
    facts = Facts(
        **{"kind": kind, "language": language, "read": len(table), "published": None, "whole": False,
           "labelled": True, "script": getattr(languages().get(language), "script", None), "limited": False, **given}
    )  # fmt: skip
    where = {"dataset": dataset, "language": language, "split": "test"}
    outcome, quarantine = judge(table, read_contract(contract_path(dataset)), facts, where)
    return {rule["rule"]: rule for rule in outcome["rules"]}, quarantine
