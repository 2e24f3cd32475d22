"""Two texts and a label: inference and paraphrase (XNLI, PAWS-X)."""

from __future__ import annotations

from xtreme_dag.formats.declaration import Columns, Format, Layout, Translation
from xtreme_dag.formats.judging import by_order, judge_labels
from xtreme_dag.formats.layout import as_lines, known


def _predictions(rows: Columns, asked: Columns) -> str:
    return as_lines(rows["prediction"])


def _gold(asked: Columns) -> str:
    return as_lines(known(asked["label"]))


FORMAT = Format(
    name="pair_classification",
    columns={"text_a": "string", "text_b": "string", "label": "string"},
    texts=("text_a", "text_b"),
    shown="text_a",
    label="label",
    shared=("label",),
    counted={"labels": "label"},
    translation=Translation(texts=("text_a", "text_b")),
    generator="pairs",
    layout=Layout(
        suffix="tsv",
        family="accuracy",
        predictions=_predictions,
        gold=_gold,
        judge=judge_labels,
        identify=by_order,
    ),
)
