"""A sentence and its English translation, to be found among all English sentences (Tatoeba)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from xtreme_dag.core.errors import UserError
from xtreme_dag.formats.declaration import Columns, Format, Judged, Layout
from xtreme_dag.formats.judging import judge_labels
from xtreme_dag.formats.layout import as_lines


def _predictions(rows: Columns, asked: Columns) -> str:
    from xtreme_dag.scoring.tatoeba import sorted_rows

    number = {name: row for row, name in enumerate(asked["id"])}
    found = [number[name] for name in rows["prediction"]]
    return as_lines(str(found[row]) for row in sorted_rows(asked["english"]))


def _gold(asked: Columns) -> str:
    from xtreme_dag.scoring.tatoeba import sorted_rows

    return as_lines(map(str, sorted_rows(asked["english"])))


def _identify(judged: Judged, ids: Sequence[str]) -> Judged:
    """Lines are English sentences in sorted order, their labels are rows of the foreign side; ours are ids of rows."""
    if len(ids) != len(judged.ids):
        raise UserError(f"{len(judged.ids)} lines for {len(ids)} rows of the canonical table")

    def named(row: str) -> str:
        return ids[int(row)] if row.isdecimal() and int(row) < len(ids) else row

    gold = [named(row) for row in judged.gold]
    if sorted(gold) != sorted(ids):
        raise UserError("the labels are not a permutation of the rows of the canonical table")
    predictions = [None if row is None else named(row) for row in judged.predictions]
    return replace(judged, ids=gold, gold=gold, predictions=predictions)


FORMAT = Format(
    name="parallel",
    columns={"text": "string", "english": "string"},
    texts=("text",),
    shown="text",
    read=("text", "english"),
    against_english=True,
    parallel=True,
    generator="translations",
    # The prediction of a line is the row of a foreign sentence, compared as text.
    layout=Layout(
        suffix="tsv",
        family="accuracy",
        predictions=_predictions,
        gold=_gold,
        judge=judge_labels,
        identify=_identify,
    ),
)
