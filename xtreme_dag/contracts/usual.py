"""The usual contract of a dataset: the rules that hold for every dataset of its format.

`xtreme-dag data add` writes it for a dataset of the user's own, and it is what holds for one without a contract.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xtreme_dag import formats
from xtreme_dag.catalogue.entries import Dataset
from xtreme_dag.contracts.odcs import SUFFIX, Contract, contract_file, contract_from, read_document

# Arrow's type of a canonical column -> ODCS's logical type.
LOGICAL = {"string": "string", "int32": "integer", "bool": "boolean", "list": "array"}
# Measure -> what it asks for, and the formats that have it (all if none is named).
_MEASURES: Mapping[str, tuple[str, str]] = {
    "texts_given": ("No text is missing or blank.", ""),
    "choices_given": ("There are at least two choices, none blank.", "multiple_choice"),
    "choices_differ": ("No two choices are the same.", "multiple_choice"),
    "tag_for_each_word": ("There are as many tags as words.", "tagging"),
    "words_given": ("No word is empty.", "tagging"),
    "iob2_legal": ("Every I-X follows a B-X or an I-X.", "tagging"),
    "labels_given": ("Every row has a label.", "pair_classification multiple_choice"),
    "labels_vary": ("The labels are not one placeholder.", "pair_classification multiple_choice tagging"),
    "answers_given": ("An answerable question has an answer, another has none.", "span_qa"),
    "answers_at_offset": ("Every answer stands where it says.", "span_qa"),
    "gold_in_pool": ("What is to be found is in the pool.", "bitext_mining qa_retrieval entity_linking"),
    "turns_in_order": ("The turns of a dialogue are numbered from 0.", "dialogue_state"),
    "script_fits": ("The text is in the script of the language.", ""),
    "rows_as_published": ("The files have as many examples as the catalogue says.", ""),
}


def contract_of(dataset: Dataset) -> tuple[Contract, dict[str, Any]]:
    """The contract of a dataset, and as an ODCS document; the usual one where it has no file.

    Raises:
        UserError: the file is wrong.
    """
    path = contract_file(dataset)
    document = usual(dataset) if path is None else read_document(path)
    return contract_from(document, path or Path(f"{dataset.name}{SUFFIX}")), document


def usual(dataset: Dataset) -> dict[str, Any]:
    """The usual contract of a dataset, as an ODCS document."""
    from xtreme_dag.tables.canonical import SCHEMAS

    published = {split.name: dict(split.counts) for split in dataset.splits.values() if split.counts}
    told = {"licence": dataset.licence, "citation": dataset.citation, "format": dataset.format}
    properties: list[dict[str, Any]] = [{"property": name, "value": value} for name, value in told.items() if value]
    properties += [{"property": "parallel", "value": True}] if dataset.parallel else []
    properties += [{"property": "publishedRows", "value": published}] if published else []
    columns = [
        {
            "name": field.name,
            "logicalType": LOGICAL[str(field.type).partition("<")[0]],
            "required": field.name in ("id", "language", "split"),
            **({"unique": True} if field.name == "id" else {}),
        }
        for field in SCHEMAS[dataset.format]
    ]
    uses = "; ".join(f"{split.name} for {split.use}" for split in dataset.splits.values())
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"own.{dataset.name}",
        "name": dataset.name,
        "version": "1.0.0",
        "status": "active",
        "description": {"purpose": dataset.title, "usage": uses},
        "customProperties": properties,
        "schema": [
            {
                "name": dataset.name,
                "logicalType": "object",
                "physicalType": "parquet",
                "properties": columns,
                "quality": [*_rules(dataset)],
            }
        ],
    }


def _rules(dataset: Dataset) -> Iterator[dict[str, Any]]:
    format = formats.get(dataset.format)
    yield _rule("not_empty", "The table has rows.", "expect_table_row_count_to_be_between", min_value=1)
    yield _rule("ids_unique", "No id occurs twice.", "expect_column_values_to_be_unique", column="id")
    if format.label == "label" and dataset.labels and not format.choices:
        values = list(dataset.labels)
        yield _in_set("label_in_set", "Labels are those of the label set.", "label", values)
    for measure, (said, having) in _MEASURES.items():
        if (not having or dataset.format in having.split()) and (measure != "iob2_legal" or _iob2(dataset)):
            yield _in_set(measure, said, f"measure.{measure}", [True])


def _iob2(dataset: Dataset) -> bool:
    """Whether its tags are of the IOB2 scheme."""
    return "O" in dataset.labels and all(tag == "O" or tag[:2] in ("B-", "I-") for tag in dataset.labels)


def _in_set(name: str, said: str, column: str, values: list[Any]) -> dict[str, Any]:
    return _rule(name, said, "expect_column_values_to_be_in_set", column=column, value_set=values)


def _rule(name: str, said: str, expectation: str, **kwargs: Any) -> dict[str, Any]:
    return {
        "name": name,
        "description": said,
        "severity": "error",
        "type": "custom",
        "engine": "greatExpectations",
        "implementation": {"type": expectation, "kwargs": kwargs},
    }
