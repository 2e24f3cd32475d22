"""Turns of dialogues with what the user wants: slots and their values (Multilingual WoZ 2.0, MultiWOZ).

Labels are of the form of `core.dialogue`; slots and values have the names of the English ontology in every language.
`acts` is what the system did before: its acts as a model reads them, or its words where a release has no acts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xtreme_dag.core.dialogue import accumulated, as_text, informed, turn_of
from xtreme_dag.core.errors import UserError
from xtreme_dag.formats.declaration import Columns, Format, Judged, Layout, Translation
from xtreme_dag.formats.judging import ids_warnings, nothing_shared, some
from xtreme_dag.formats.layout import Unlabelled, as_json, read_mapping


def _predictions(rows: Columns, asked: Columns) -> str:
    pairs = zip(rows["id"], rows["prediction"], strict=True)
    return as_json({name: turn_of(text) for name, text in pairs if text is not None})


def _gold(asked: Columns) -> str:
    names = ("dialogue", "labels", "state")
    rows = [dict(zip(names, row, strict=True)) for row in zip(*(asked[name] for name in names), strict=True)]
    if any(row["labels"] is None or row["state"] is None for row in rows):
        raise Unlabelled
    return as_json(dict(zip(asked["id"], rows, strict=True)))


def _labels(value: Any, name: str, path: Path) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UserError(f"the labels of {name!r} are no list of texts", where=str(path), fix='["food=chinese"]')
    return value


def judge_turns(labels: Path, predictions: Path, language: str) -> Judged:
    """Id -> `dialogue`, `labels` and `state` of each turn, in order; predictions: id -> labels of the turn alone.

    The predicted state is accumulated from the predicted turns; a turn without a prediction says nothing.
    """
    from xtreme_dag.scoring import dialogue

    turns, _ = read_mapping(labels)
    some(turns, labels)
    if not all(isinstance(turn, dict) and isinstance(turn.get("dialogue"), str) for turn in turns.values()):
        raise UserError("a turn names no dialogue", where=str(labels), fix='{"id": {"dialogue": ..., "labels": ...}}')
    given, twice = read_mapping(predictions)
    gold = [_labels(turn.get("labels"), name, labels) for name, turn in turns.items()]
    states = [informed(_labels(turn.get("state"), name, labels)) for name, turn in turns.items()]
    said = [_labels(given[name], name, predictions) if name in given else None for name in turns]
    warnings = ids_warnings(list(turns), given, twice, predictions)
    right, made = ([label for row in side for label in row or ()] for side in (gold, said))
    warnings += nothing_shared(right, made, labels, predictions, so="no label is right")
    reached = accumulated([turn["dialogue"] for turn in turns.values()], [one or [] for one in said])
    return Judged(
        ids=list(turns),
        gold=[as_text(*row) for row in zip(gold, states, strict=True)],
        predictions=[None if one is None else as_text(one, state) for one, state in zip(said, reached, strict=True)],
        statistics=dialogue.statistics(gold, said, states, reached),
        warnings=warnings,
    )


FORMAT = Format(
    name="dialogue_state",
    columns={
        "dialogue": "string",
        "turn": "int32",
        "system": "string",
        "acts": "list<string>",
        "text": "string",
        "labels": "list<string>",
        "state": "list<string>",
    },
    texts=("text",),
    shown="text",
    read=("acts", "text"),
    shared=("labels", "state"),
    cluster="dialogue",
    translation=Translation(texts=("acts", "text")),
    generator="dialogue_states",
    layout=Layout(suffix="json", family="dialogue", predictions=_predictions, gold=_gold, judge=judge_turns),
)
