"""A context, a question and several choices, one of which is right (XCOPA)."""

from __future__ import annotations

import json
from collections.abc import Hashable
from pathlib import Path

from xtreme_dag.core.errors import UserError
from xtreme_dag.formats.declaration import Columns, Format, Judged, Layout, Translation
from xtreme_dag.formats.judging import blanked, by_order, matched, nothing_shared, same_number
from xtreme_dag.formats.layout import as_lines, known, read_lines


def _predictions(rows: Columns, asked: Columns) -> str:
    return as_lines(json.dumps({"label": int(choice)}) for choice in rows["prediction"])


def _gold(asked: Columns) -> str:
    return as_lines(json.dumps({"label": label}) for label in known(asked["label"]))


def _read(path: Path) -> list[Hashable]:
    """The `label` of each line's JSON object.

    Raises:
        UserError: a line is not an object with a label.
    """
    labels: list[Hashable] = []
    for number, line in enumerate(read_lines(path), start=1):
        try:
            label = json.loads(line)["label"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise UserError(
                f"line {number} is not a JSON object with a label", where=str(path), fix='write lines like {"label": 0}'
            ) from None
        if not isinstance(label, Hashable):
            raise UserError(f"the label of line {number} is not a number or a text", where=str(path))
        labels.append(label)
    return labels


def judge_choices(labels: Path, predictions: Path, language: str) -> Judged:
    """A JSON object with the `label` of a choice per line; 1 and 1.0 are the same, 1 and "1" are not."""
    gold, given = _read(labels), _read(predictions)
    same_number(gold, given, predictions)
    texts = [[json.dumps(label, ensure_ascii=False) for label in side] for side in (gold, given)]
    warnings = blanked(gold, labels)
    if all(isinstance(label, str) for label in given) and not any(isinstance(label, str) for label in gold):
        warnings.append(
            f"{predictions}: the labels are texts, as {texts[1][0]}, and equal no number, so every score is 0"
        )
    else:
        warnings += nothing_shared(gold, given, labels, predictions)
    return matched(gold, given, texts[0], texts[1], warnings)


FORMAT = Format(
    name="multiple_choice",
    columns={"context": "string", "question": "string", "choices": "list<string>", "label": "int32"},
    texts=("context", "question"),
    shown="choices",
    compared=("choices",),
    read=("context", "question", "choices"),
    label="label",
    choices="choices",
    shared=("label",),
    counted={"labels": "label"},
    translation=Translation(texts=("context", "question", "choices")),
    generator="choices",
    layout=Layout(
        suffix="jsonl", family="accuracy", predictions=_predictions, gold=_gold, judge=judge_choices, identify=by_order
    ),
)
