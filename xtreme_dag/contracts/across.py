"""The check stage across tables: compare the tables of a dataset, and of those with the same originals, pairwise."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from xtreme_dag.contracts.cross import Sketch, across_languages, sketch, unseen, unseen_in_translation
from xtreme_dag.core.context import StageContext
from xtreme_dag.tables.canonical import StoredTable

Findings = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class _Sketched:
    """A table's sketch, what the table is for, and what was found about it."""

    dataset: str
    split: str
    use: str
    sketch: Sketch
    found: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.dataset}/{self.sketch.language}/{self.split}"


def across(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Writes `findings.json`: table -> what the rules across tables find wrong with it.

    Args:
        params: `tables`, a list of `[dataset, language, split, use]`; `datasets`, name -> `format` and, of its contract,
            `parallel`, `same_labels` and `overlap`. Several datasets are ones whose ids come from the same originals.
            `left_out`: table (`dataset/language/split`) -> ids of examples that were left out of it.
        inputs: `dataset/language/split` -> `table.parquet` of each table.
        context: the stage's surroundings.

    Returns:
        Number of tables and of findings, for the manifest.
    """
    tables = []
    for dataset, language, split, use in params["tables"]:
        path = inputs[f"{dataset}/{language}/{split}"]
        taken = sketch(StoredTable(path), params["datasets"][dataset]["format"], language)
        taken = replace(taken, left_out=frozenset(params.get("left_out", {}).get(f"{dataset}/{language}/{split}", ())))
        tables.append(_Sketched(dataset=dataset, split=split, use=use, sketch=taken))
        context.progress(len(tables), len(params["tables"]))
    for dataset, rules in params["datasets"].items():
        mine = [table for table in tables if table.dataset == dataset]
        _languages(mine, rules)
        _splits(mine, rules["overlap"])
    for test in (table for table in tables if table.use == "test"):
        for train in tables:
            if train.use == "train" and train.dataset != test.dataset:
                _add(test, unseen_in_translation(test.sketch, train.sketch), train)
    findings: Findings = {table.name: table.found for table in tables if table.found}
    (context.out / "findings.json").write_text(json.dumps(findings, indent=1, ensure_ascii=False) + "\n")
    return {"tables": len(tables), "findings": sum(map(len, findings.values()))}


def _languages(tables: Iterable[_Sketched], rules: Mapping[str, Any]) -> None:
    """Rules between the languages of each split."""
    splits: dict[str, dict[str, _Sketched]] = {}
    for table in tables:
        splits.setdefault(table.split, {})[table.sketch.language] = table
    for by_language in splits.values():
        if len(by_language) > 1:
            sketches = {language: table.sketch for language, table in by_language.items()}
            found = across_languages(sketches, parallel=rules["parallel"], same_labels=rules["same_labels"])
            for language, findings in found.items():
                by_language[language].found.extend(findings)


def _splits(tables: Iterable[_Sketched], overlap: float) -> None:
    """Rules between the splits of each language: what is selected or tested on is new."""
    every = list(tables)
    for new in (table for table in every if table.use != "train"):
        for known in (table for table in every if table.sketch.language == new.sketch.language):
            if known.use == "train":
                _add(new, unseen(new.sketch, known.sketch, tolerance=overlap), known)
            elif (known.use, new.use) == ("select", "test"):
                finding = unseen(new.sketch, known.sketch, tolerance=overlap, rule="unseen_in_selection")
                _add(new, finding, known)


def _add(test: _Sketched, finding: Mapping[str, Any], other: _Sketched) -> None:
    if not finding["ok"]:
        test.found.append({**finding, "against": other.name})
