"""Writes predictions, and labels, in the XTREME folder layout: `<task>/test-<language>.<suffix>`.

Predictions come as the rows of `predictions.parquet`, labels from canonical tables. What `xtreme-dag score` reads is
what stands here, so a run that is exported and scored gives the figures that it had.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.core.errors import UserError
from xtreme_dag.scoring.tatoeba import sorted_rows
from xtreme_dag.submissions.layout import SUFFIXES, file_name

Cell = tuple[str, str]
"""A task and a language."""

METADATA = "metadata.json"
# The side of a two-sided table whose rows are the examples.
ASKING = {"bitext_mining": "foreign", "qa_retrieval": "question", "entity_linking": "mention"}


def write_submission(
    predictions: Mapping[Cell, pa.Table],
    out: Path,
    metadata: Mapping[str, Any],
    *,
    canonical: Mapping[Cell, pa.Table],
    benchmark: str = "xtreme",
) -> list[str]:
    """Writes one prediction file per task and language, and `metadata.json`.

    Args:
        predictions: rows of `predictions.parquet`: `id`, `prediction` (and `candidates`, list<string>, for rankings).
            Tags and mined ids stand in `prediction` with blanks between them; Tatoeba's is the id of a foreign row.
        out: a new or empty folder.
        metadata: what the submission is (model, parameters, pre-training data, ...), JSON values.
        canonical: the table that each prediction was made from, for the order of the rows and Tatoeba's English side.
        benchmark: `xtreme` or `xtreme-r`.

    Returns:
        What the benchmark lists and `predictions` lack: `task/test-language.suffix`.

    Raises:
        UserError: a task or language that the benchmark does not have, rows that do not fit their table, or a folder
            that holds something.
    """
    _empty(out)
    wanted = _files(benchmark)
    for (task, language), table in sorted(predictions.items(), key=lambda item: item[0]):
        where = f"{task}/{language}"
        if (task, language) not in wanted:
            raise UserError(f"{benchmark} does not list it", where=where)
        if (task, language) not in canonical:
            raise UserError("there is no canonical table", where=where, fix="prepare the dataset first")
        kind = _format(task)
        asked = asked_rows(canonical[task, language], kind)
        text = _PREDICTIONS[kind](_in_order(table, asked["id"].to_pylist(), where), asked)
        _write(out / wanted[task, language], text)
    missing = [path for cell, path in wanted.items() if cell not in predictions]
    content = {**metadata, "benchmark": benchmark, "files": len(predictions), "missing": missing}
    _write(out / METADATA, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    return missing


def write_labels(canonical: Mapping[Cell, pa.Table], out: Path) -> None:
    """Writes one label file per task and language, from labelled canonical tables.

    Raises:
        UserError: a table without labels, or a folder that holds something.
    """
    _empty(out)
    for (task, language), table in canonical.items():
        kind = _format(task)
        path = out / task / file_name(language, SUFFIXES[kind])
        try:
            _write(path, _LABELS[kind](asked_rows(table, kind)))
        except _Unlabelled:
            raise UserError("the table has rows without a label", where=f"{task}/{language}") from None


def asked_rows(table: pa.Table, kind: str) -> pa.Table:
    """The rows of a canonical table that are examples: all, or the asking side of a two-sided table."""
    if kind not in ASKING:
        return table
    return table.filter(pa.array([side == ASKING[kind] for side in table["side"].to_pylist()], pa.bool_()))


class _Unlabelled(ValueError):
    """A label is missing."""


def _files(benchmark: str) -> dict[Cell, str]:
    catalogue = load_catalogue()
    return {
        (task, language): f"{task}/{file_name(language, SUFFIXES[catalogue.dataset(task).format])}"
        for task in catalogue.benchmarks[benchmark]
        for language in catalogue.task(task).languages[benchmark]
    }


def _format(task: str) -> str:
    return load_catalogue().dataset(load_catalogue().task(task).name).format


def _empty(out: Path) -> None:
    if out.exists() and any(out.iterdir()):
        raise UserError("the folder is not empty", where=str(out), fix="name a new folder")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _in_order(table: pa.Table, ids: Sequence[str], where: str) -> pa.Table:
    """The rows in the order of the canonical table, every row of it once."""
    place = {name: row for row, name in enumerate(table["id"].to_pylist())}
    missing = [name for name in ids if name not in place]
    if missing or len(place) != len(ids):
        raise UserError(
            f"{len(place)} predictions for {len(ids)} rows, {len(missing)} rows have none"
            + (f", the first is {missing[0]!r}" if missing else ""),
            where=where,
            fix="export a run that evaluated the whole split, with its own canonical table",
        )
    return table.take(pa.array([place[name] for name in ids], pa.int64()))


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _tag_lines(sentences: Iterable[Sequence[str]]) -> str:
    return "".join(_lines([*tags, ""]) for tags in sentences)


def _label_lines(rows: pa.Table, _: pa.Table) -> str:
    return _lines(rows["prediction"].to_pylist())


def _choice_lines(rows: pa.Table, _: pa.Table) -> str:
    return _lines(json.dumps({"label": int(choice)}) for choice in rows["prediction"].to_pylist())


def _sentence_lines(rows: pa.Table, _: pa.Table) -> str:
    return _tag_lines(tags.split() for tags in rows["prediction"].to_pylist())


def _answers(rows: pa.Table, _: pa.Table) -> str:
    answers = zip(rows["id"].to_pylist(), rows["prediction"].to_pylist(), strict=True)
    return _json({name: answer for name, answer in answers if answer is not None})


def _foreign_rows(rows: pa.Table, asked: pa.Table) -> str:
    number = {name: row for row, name in enumerate(asked["id"].to_pylist())}
    found = [number[name] for name in rows["prediction"].to_pylist()]
    return _lines(str(found[row]) for row in sorted_rows(asked["english"].to_pylist()))


def _pair_lines(rows: pa.Table, _: pa.Table) -> str:
    mined = zip(rows["id"].to_pylist(), rows["prediction"].to_pylist(), strict=True)
    return _lines(f"{source}\t{target}" for source, targets in mined for target in (targets or "").split())


def _rankings(rows: pa.Table, _: pa.Table) -> str:
    return _json(dict(zip(rows["id"].to_pylist(), rows["candidates"].to_pylist(), strict=True)))


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _known(values: Sequence[Any]) -> Sequence[Any]:
    if any(value is None for value in values):
        raise _Unlabelled
    return values


def _gold_labels(table: pa.Table) -> str:
    return _lines(_known(table["label"].to_pylist()))


def _gold_choices(table: pa.Table) -> str:
    return _lines(json.dumps({"label": label}) for label in _known(table["label"].to_pylist()))


def _gold_tags(table: pa.Table) -> str:
    return _tag_lines(_known(table["tags"].to_pylist()))


def _gold_answers(table: pa.Table) -> str:
    paragraphs = [
        {
            "context": row["context"],
            "qas": [
                {
                    "id": row["id"],
                    "question": row["question"],
                    "answers": [{"text": answer["text"], "answer_start": answer["start"]} for answer in row["answers"]],
                }
            ],
        }
        for row in table.to_pylist()
    ]
    if not all(paragraph["qas"][0]["answers"] for paragraph in paragraphs):
        raise _Unlabelled
    return _json({"version": "1.1", "data": [{"title": "", "paragraphs": paragraphs}]})


def _gold_rows(table: pa.Table) -> str:
    return _lines(map(str, sorted_rows(table["english"].to_pylist())))


def _gold_pairs(table: pa.Table) -> str:
    rows = zip(table["id"].to_pylist(), table["gold"].to_pylist(), strict=True)
    pairs = [f"{source}\t{target}" for source, targets in rows for target in targets or ()]
    # XTREME's download takes the gold pairs of the test part away.
    if not pairs:
        raise _Unlabelled
    return _lines(pairs)


def _gold_lists(table: pa.Table) -> str:
    gold = table["gold"].to_pylist()
    if not all(gold):
        raise _Unlabelled
    return _json(dict(zip(table["id"].to_pylist(), gold, strict=True)))


_PREDICTIONS: Mapping[str, Callable[[pa.Table, pa.Table], str]] = {
    "pair_classification": _label_lines,
    "multiple_choice": _choice_lines,
    "tagging": _sentence_lines,
    "span_qa": _answers,
    "parallel": _foreign_rows,
    "bitext_mining": _pair_lines,
    "qa_retrieval": _rankings,
    "entity_linking": _rankings,
}
_LABELS: Mapping[str, Callable[[pa.Table], str]] = {
    "pair_classification": _gold_labels,
    "multiple_choice": _gold_choices,
    "tagging": _gold_tags,
    "span_qa": _gold_answers,
    "parallel": _gold_rows,
    "bitext_mining": _gold_pairs,
    "qa_retrieval": _gold_lists,
    "entity_linking": _gold_lists,
}
