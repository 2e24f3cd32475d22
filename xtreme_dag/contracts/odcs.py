"""Read a contract: an Open Data Contract Standard file, and the rules in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from xtreme_dag.catalogue import own
from xtreme_dag.catalogue.entries import Dataset
from xtreme_dag.core.beside import CONTRACTS
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.yaml import read_yaml

FOLDER = CONTRACTS
SUFFIX = ".odcs.yaml"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One quality rule.

    Attributes:
        name: its name in the contract.
        expectation: snake-case name of a Great Expectations expectation.
        kwargs: its arguments. A column `measure.NAME` is computed by that measure of `measures.MEASURES`.
        severity: `error` stops what depends on the table; `warning` is only reported.
        description: for the outcome page.
        tolerance: language -> share of rows that may break the rule; known defects of a release.
    """

    name: str
    expectation: str
    kwargs: Mapping[str, Any]
    severity: str = "error"
    description: str = ""
    tolerance: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a check needs to know of a contract.

    Attributes:
        dataset: the dataset that it is about.
        version: semantic version.
        status: `active`, `draft`, ...
        rules: in the order of the file.
        published: split -> language (or `all`) -> published number of examples.
        parallel: a row has the same id in every language.
        same_labels: and the same label.
        overlap: share of test examples up to which their presence in training data is only a warning.
        originals: name of the collection that its ids come from, where other datasets translate it too; or "".
    """

    dataset: str
    version: str
    status: str
    rules: tuple[Rule, ...]
    published: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    parallel: bool = False
    same_labels: bool = False
    originals: str = ""
    overlap: float = 0.05

    def count(self, split: str, language: str) -> int | None:
        """The published number of examples of a split in a language, or None."""
        counts = self.published.get(split, {})
        return counts.get(language, counts.get("all"))


def contract_path(dataset: str) -> Path:
    """Where the contract of a dataset of the package is.

    Raises:
        UserError: it has none.
    """
    path = FOLDER / f"{dataset}{SUFFIX}"
    if not path.is_file():
        raise UserError("no contract", where=f"dataset {dataset}", fix=f"write {path}: see docs/howto-add-a-dataset.md")
    return path


def contract_file(dataset: Dataset) -> Path | None:
    """The contract of a dataset, in the catalogue that its entry is from; None where it has none."""
    path = (Path(dataset.root) / own.CONTRACTS if dataset.root else FOLDER) / f"{dataset.name}{SUFFIX}"
    return path if path.is_file() else None


def own_contracts() -> list[Path]:
    """The contract files in the user's own catalogues."""
    return [path for folder in own.folders() for path in sorted((folder / own.CONTRACTS).glob(f"*{SUFFIX}"))]


def read_document(path: Path) -> dict[str, Any]:
    """A contract file as plain values.

    Raises:
        UserError: not YAML, or not a mapping.
    """
    try:
        document = read_yaml(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"not YAML: {error}", where=str(path)) from None
    if not isinstance(document, dict):
        raise UserError("a contract is a mapping", where=str(path))
    return document


def read_contract(path: Path) -> Contract:
    """Reads a contract into what a check needs, through the standard's own models.

    Raises:
        UserError: the file does not follow the standard, or a rule is not one that can be run.
    """
    return contract_from(read_document(path), path)


def contract_from(document: Mapping[str, Any], path: Path) -> Contract:
    """A contract given as plain values; `path` is for messages.

    Raises:
        UserError: as `read_contract`.
    """
    from open_data_contract_standard.model import OpenDataContractStandard
    from pydantic import ValidationError

    try:
        contract = OpenDataContractStandard.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{where}: {first['msg']}", where=str(path)) from None
    tables = contract.schema_ or []
    if len(tables) != 1:
        raise UserError(f"a contract describes one table, this one {len(tables)}", where=str(path))
    table = tables[0]
    quality = [*(table.quality or ()), *(rule for column in table.properties or () for rule in column.quality or ())]
    properties = {item.property: item.value for item in contract.customProperties or ()}
    return Contract(
        dataset=contract.name or path.name.removesuffix(SUFFIX),
        version=contract.version or "",
        status=contract.status or "",
        rules=tuple(_rule(rule, path) for rule in quality if rule.type == "custom"),
        published=properties.get("publishedRows") or {},
        parallel=bool(properties.get("parallel")),
        same_labels=bool(properties.get("sameLabels")),
        overlap=float(properties.get("overlapTolerance") or 0.05),
        originals=properties.get("originals") or "",
    )


def _rule(quality: Any, path: Path) -> Rule:
    where = f"{path.name}: rule {quality.name}"
    if quality.engine != "greatExpectations":
        raise UserError(f"engine {quality.engine!r} cannot be run", where=where, fix="engine: greatExpectations")
    implementation = quality.implementation
    if not isinstance(implementation, dict) or set(implementation) != {"type", "kwargs"}:
        raise UserError("an implementation has the keys type and kwargs", where=where)
    if not quality.name:
        raise UserError("a rule needs a name", where=where)
    return Rule(
        name=quality.name,
        expectation=implementation["type"],
        kwargs=implementation["kwargs"],
        severity=quality.severity or "error",
        description=quality.description or "",
        tolerance=next((item.value for item in quality.customProperties or () if item.property == "tolerance"), {}),
    )
