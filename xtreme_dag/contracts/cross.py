"""Rules across tables: languages of one dataset, splits, datasets that translate one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xtreme_dag import formats
from xtreme_dag.contracts.columns import batches
from xtreme_dag.contracts.folded import Hashes, fold_column, hashes
from xtreme_dag.core.english import ENGLISH
from xtreme_dag.formats.declaration import Format
from xtreme_dag.tables.canonical import StoredTable

FIRST = 5  # ids named for each finding
SAME = 0.5  # share of equal texts from which on two languages are taken for one file under two names
FEW = 8  # texts below which equality says nothing


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """What rules across tables need to know of one; a fraction of the table's size.

    Attributes:
        language: ISO code.
        ids: of the examples (questions, mentions or foreign sentences of two-sided formats).
        texts: hash of what shows the language, one an id.
        contents: hash of all that is read of an example, without case, punctuation, blanks and accents, one an id.
        labels: hash of what translations share, the label, one an id; all equal where the format has none.
        left_out: ids of examples that the release has and that cannot be used.
    """

    language: str
    ids: tuple[str, ...]
    texts: Hashes
    contents: Hashes
    labels: Hashes
    left_out: frozenset[str] = frozenset()


def sketch(table: pa.Table | StoredTable, kind: str, language: str) -> Sketch:
    """The sketch of a canonical table of a format, taken a batch at a time."""
    format = formats.get(kind)
    compared = format.compared or format.texts
    ids: list[str] = []
    texts, contents, labels = [hashes(())], [hashes(())], [hashes(())]
    for batch in batches(table):
        if format.sides is not None:
            batch = batch.filter(pc.equal(batch["side"], format.sides.asking))
        ids += batch["id"].to_pylist()
        texts.append(hashes(_joined(batch, format, compared)))
        read = [fold_column(batch[name]).to_pylist() for name in format.read or compared]
        contents.append(hashes(["\t".join(row) for row in zip(*read, strict=True)]))
        labels.append(hashes(_joined(batch, format, format.shared) if format.shared else [""] * len(batch)))
    return Sketch(
        language=language,
        ids=tuple(ids),
        texts=np.concatenate(texts),
        contents=np.concatenate(contents),
        labels=np.concatenate(labels),
    )


def parallel_ids(one: Sketch, other: Sketch) -> dict[str, Any]:
    """Two languages of a parallel dataset have the same ids, those included that were left out of one of them."""
    mine, theirs = {*one.ids, *one.left_out}, {*other.ids, *other.left_out}
    missing = [name for name in other.ids if name not in mine]
    extra = [name for name in one.ids if name not in theirs]
    return _finding("ids_parallel", [*missing, *extra], one, other)


def parallel_labels(one: Sketch, other: Sketch) -> dict[str, Any]:
    """The same example has the same label in two languages."""
    theirs = dict(zip(other.ids, other.labels.tolist(), strict=True))
    mine = zip(one.ids, one.labels.tolist(), strict=True)
    return _finding("labels_parallel", [name for name, label in mine if theirs.get(name, label) != label], one, other)


def texts_differ(one: Sketch, other: Sketch) -> dict[str, Any]:
    """Two languages do not have the same texts: else one file stands under two names."""
    same = np.isin(one.texts, other.texts)
    many = len(same) >= FEW and same.mean() > SAME
    return _finding("texts_differ", [name for name, hit in zip(one.ids, same, strict=True) if hit and many], one, other)


def unseen(test: Sketch, train: Sketch, *, tolerance: float, rule: str = "unseen_in_training") -> dict[str, Any]:
    """No test example is among the training examples, letter for letter.

    Args:
        test: the examples that should be new.
        train: the examples that are known.
        tolerance: share up to which equal examples are a warning: short sentences recur, and WikiANN repeats itself.
        rule: name of the finding.
    """
    seen = np.isin(test.contents, train.contents)
    finding = _finding(rule, [name for name, hit in zip(test.ids, seen, strict=True) if hit], test, train)
    share = finding["count"] / max(1, len(test.ids))
    return finding | {"severity": "error" if share > tolerance else "warning"}


def unseen_in_translation(test: Sketch, train: Sketch) -> dict[str, Any]:
    """No test example is a training example in another language: both have the ids of the same original."""
    known = set(train.ids)
    return _finding("unseen_in_translation", [name for name in test.ids if name in known], test, train)


def across_languages(
    sketches: Mapping[str, Sketch], *, parallel: bool, same_labels: bool
) -> dict[str, list[dict[str, Any]]]:
    """The rules between the languages of one split: texts with every other language, ids and labels with one.

    That is the language with which most others agree.

    Args:
        sketches: language -> sketch.
        parallel: the dataset has the same ids in every language.
        same_labels: and the same labels.

    Returns:
        Language -> its findings that are not fine.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    pivot = _pivot(sketches)
    # Texts of one language alone are in no pair of languages: most tables are seen not to be another's at a glance.
    every, times = np.unique(np.concatenate([np.unique(one.texts) for one in sketches.values()]), return_counts=True)
    shared = every[times > 1]
    for code, one in sketches.items():
        suspect = len(one.texts) > 0 and np.isin(one.texts, shared).mean() > SAME
        results = [texts_differ(one, other) for name, other in sketches.items() if suspect and name != code]
        if parallel and pivot != code:
            results.append(parallel_ids(one, sketches[pivot]))
            if same_labels:
                results.append(parallel_labels(one, sketches[pivot]))
        if bad := [result for result in results if not result["ok"]]:
            found[code] = bad
    return found


def _pivot(sketches: Mapping[str, Sketch]) -> str:
    """The language that agrees with most others on ids and labels, English at a tie: a damaged one is no measure."""
    keys = {code: hash((frozenset(one.ids) | one.left_out, one.labels.tobytes())) for code, one in sketches.items()}
    counts = {code: sum(key == other for other in keys.values()) for code, key in keys.items()}
    return max(sorted(sketches), key=lambda code: (counts[code], code == ENGLISH))


def _finding(rule: str, ids: Sequence[str], one: Sketch, other: Sketch) -> dict[str, Any]:
    return {
        "rule": rule,
        "ok": not ids,
        "severity": "error",
        "count": len(ids),
        "first_ids": list(ids[:FIRST]),
        "against": other.language,
    }


def _joined(table: pa.Table, format: Format, names: Sequence[str]) -> list[str]:
    """Some columns as one text a row: words with blanks between them, texts with tabs."""
    columns = []
    for name in names:
        column = table[name].combine_chunks()
        if pa.types.is_list(column.type):
            column = pc.binary_join(column, " " if format.columns[name] == "words" else "\t")
        columns.append(column.to_pylist())
    return ["\t".join(map(str, row)) for row in zip(*columns, strict=True)]
