"""Checks of a contract file: against the standard's JSON Schema, and against the catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xtreme_dag.catalogue.catalogue import Catalogue, Dataset
from xtreme_dag.contracts.counts import check_rule
from xtreme_dag.contracts.measures import MEASURES
from xtreme_dag.contracts.odcs import SUFFIX, read_contract, read_document
from xtreme_dag.contracts.usual import LOGICAL
from xtreme_dag.core.errors import UserError, nearest

SEMVER = re.compile(r"^\d+\.\d+\.\d+$")
SEVERITIES = ("error", "warning")


def lint(path: Path, catalogue: Catalogue) -> list[str]:
    """What is wrong with a contract file; empty if nothing is.

    Checks the file against the standard's JSON Schema (the one that the package of the standard ships), and that its
    dataset, columns, label set and published counts are those of the catalogue, its rules ones that can be run.
    """
    try:
        document = read_document(path)
    except UserError as error:
        return [error.what]
    wrong = _against_schema(document)
    if wrong:
        return wrong
    try:
        contract = read_contract(path)
    except UserError as error:
        return [str(error)]
    if not SEMVER.match(contract.version):
        wrong.append(f"version {contract.version!r} is not of the form MAJOR.MINOR.PATCH")
    if path.name != f"{contract.dataset}{SUFFIX}":
        wrong.append(f"the file of {contract.dataset!r} is called {contract.dataset}{SUFFIX}")
    names = [rule.name for rule in contract.rules]
    wrong += [f"rule {name!r} is there twice" for name in sorted({name for name in names if names.count(name) > 1})]
    for rule in contract.rules:
        try:
            check_rule(rule)
        except UserError as error:
            wrong.append(f"{error.where}: {error.what}; {error.fix}")
        measured = str(rule.kwargs.get("column", "")).removeprefix("measure.")
        if measured != rule.kwargs.get("column", "") and measured not in MEASURES:
            wrong.append(f"rule {rule.name}: no measure {measured!r}; {nearest(measured, MEASURES)}")
        if rule.severity not in SEVERITIES:
            wrong.append(f"rule {rule.name}: severity {rule.severity!r} is neither error nor warning")
    if contract.dataset not in catalogue.datasets:
        return [
            *wrong,
            f"no dataset {contract.dataset!r} in the catalogue; {nearest(contract.dataset, catalogue.datasets)}",
        ]
    dataset = catalogue.datasets[contract.dataset]
    published = {split.name: dict(split.counts) for split in dataset.splits.values() if split.counts}
    if published != {split: dict(counts) for split, counts in contract.published.items()}:
        wrong.append("publishedRows are not the counts of the catalogue")
    if contract.parallel != dataset.parallel:
        wrong.append("property parallel is not what the catalogue says")
    return [*wrong, *_against_catalogue(document, dataset)]


def _against_schema(document: Mapping[str, Any]) -> list[str]:
    import json
    from importlib.resources import files

    import jsonschema

    schema = json.loads((files("open_data_contract_standard") / "schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft201909Validator(schema)
    errors = sorted(validator.iter_errors(document), key=lambda error: list(map(str, error.absolute_path)))
    return [f"{'.'.join(map(str, error.absolute_path)) or 'contract'}: {error.message}" for error in errors]


def _against_catalogue(document: Mapping[str, Any], dataset: Dataset) -> list[str]:
    from xtreme_dag.tables.canonical import SCHEMAS

    wrong = []
    properties = document["schema"][0].get("properties", [])
    found = {column["name"]: column.get("logicalType") for column in properties}
    wanted = {field.name: LOGICAL[str(field.type).partition("<")[0]] for field in SCHEMAS[dataset.format]}
    for name in sorted({*found, *wanted}):
        if found.get(name) != wanted.get(name):
            wrong.append(f"column {name}: {found.get(name)} in the contract, {wanted.get(name)} in the canonical table")
    for rule in document["schema"][0].get("quality", []):
        kwargs = rule["implementation"]["kwargs"]
        if kwargs.get("column") == "label" and set(kwargs.get("value_set", ())) != set(dataset.labels):
            wrong.append(f"rule {rule['name']}: the label set of the catalogue is {', '.join(dataset.labels)}")
    return wrong
