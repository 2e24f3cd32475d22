"""Charts of a study that are for paper alone: heat maps, languages against the baseline, curves, layers.

The colours are those of Okabe and Ito (2008), which colour-blind readers tell apart; shapes, dashes and the numbers in
cells say the same without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from xtreme_dag.report.content import Content, Row
from xtreme_dag.report.drawing import Spec
from xtreme_dag.report.figures import signed
from xtreme_dag.report.heat import heat_data

PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442"]
_DASHES = [[1, 0], [4, 2], [1, 2], [6, 2, 1, 2], [2, 1], [8, 2], [3, 3], [1, 1]]
WIDTH = 396  # points: the text width of the usual styles (5.5 inches)
NAMES = 92  # points that the names of tasks, conditions or languages take on the left
_FAINT = 3  # points: smaller differences never get the full colour


def heat(content: Content, task: str) -> Spec:
    """Language x condition of one task: points over the baseline, the baseline's own score; `*` where it is decided.

    Cells in languages that one side was trained on are hatched.
    """
    data = heat_data(content)
    rows = [row for row in data["rows"] if row["task"] == task]
    largest = max([abs(row["delta"] or 0.0) for row in rows] + [_FAINT])
    cells = []
    for row in rows:
        known = row["delta"] is not None and row["condition"] != data["baseline"]
        mark = " *" if row["verdict"] in ("better", "worse") else ""
        cells.append(
            {
                "language": row["label"],
                "condition": row["condition"],
                "hue": "plain" if not known else "up" if row["delta"] >= 0 else "down",
                "strength": abs(row["delta"]) / largest if known else 0.0,
                "text": f"{signed(row['delta'])}{mark}" if known else f"{row['value']:.1f}",
                "seen": bool(row["seen"]),
            }
        )
    size = len(data["conditions"])
    step = max(30, min(64, (WIDTH - NAMES) // size))
    x = alt.X("condition:N", sort=data["conditions"], title=None, axis=alt.Axis(orient="top", labelAngle=-30, ticks=False, domain=False))  # fmt: skip
    y = alt.Y("language:N", title=None, axis=alt.Axis(ticks=False, domain=False, labelLimit=NAMES))
    base = alt.Chart(_values(cells)).encode(x=x, y=y)
    hues = alt.Scale(domain=["up", "down", "plain"], range=["#0072B2", "#D55E00", "#FFFFFF"])
    boxes = base.mark_rect(stroke="white", strokeWidth=0.5).encode(
        fill=alt.Fill("hue:N", scale=hues, legend=None),
        fillOpacity=alt.FillOpacity("strength:Q", scale=alt.Scale(domain=[0, 1], range=[0.05, 0.92]), legend=None),
    )
    hatches = base.transform_filter("datum.seen").mark_text(
        text="/" * int(step / 3.8), fontSize=13, color="#767676", opacity=0.35, clip=True
    )
    text = base.mark_text(fontSize=7).encode(
        text="text:N",
        color=alt.condition("datum.hue == 'up' && datum.strength > 0.75", alt.value("white"), alt.value("black")),
    )
    layers = [boxes, *([hatches] if any(cell["seen"] for cell in cells) else []), text]
    return _spec(alt.layer(*layers).properties(width=alt.Step(step), height=alt.Step(12)))


def languages(content: Content, condition: str) -> Spec:
    """A condition's score against the baseline's, one point for each language, one panel for each task.

    Languages that one side was trained on are hollow.
    """
    baseline = str(content.study["baseline"])
    ours = {(row["task"], row["language"]): row for row in content.cells if row["condition"] == condition}
    rows = [
        {
            "task": row["task"],
            "language": row["language"],
            "baseline": round(row["value"], 3),
            "value": round(ours[row["task"], row["language"]]["value"], 3),
            "seen": bool(ours[row["task"], row["language"]]["seen"]),
        }
        for row in content.cells
        if row["condition"] == baseline and (row["task"], row["language"]) in ours
    ]
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    panels = []
    for task in tasks:
        own = [row for row in rows if row["task"] == task]
        low = min(min(row["baseline"], row["value"]) for row in own)
        high = max(max(row["baseline"], row["value"]) for row in own)
        margin = max(1.0, (high - low) * 0.08)
        ends = [low - margin, high + margin]
        scale = alt.Scale(domain=ends, nice=False, zero=False)
        columns = min(3, len(tasks))
        size = (WIDTH - columns * 44) // columns
        placed = _named(own, low=ends[0], points=size / (ends[1] - ends[0]), size=size)
        base = alt.Chart(_values(placed)).encode(
            x=alt.X("baseline:Q", scale=scale, title=baseline, axis=alt.Axis(tickCount=4)),
            y=alt.Y("value:Q", scale=scale, title=condition, axis=alt.Axis(tickCount=4)),
        )
        equal = alt.Chart(_values([{"at": end} for end in ends])).mark_line(
            color="#555555", strokeWidth=0.6, strokeDash=[3, 3]
        )
        points = base.mark_point(size=22, color="#0072B2", strokeWidth=1).encode(
            fill=alt.condition("datum.seen", alt.value("white"), alt.value("#0072B2"))
        )
        sides = {row["side"] for row in placed}  # a layer without rows would be warned about
        names = [
            base.transform_filter(f"datum.side == '{side}'").mark_text(align=side, dx=-5 if side == "right" else 5, fontSize=6)
            .encode(text="language:N")
            for side in ("left", "right") if side in sides
        ]  # fmt: skip
        panels.append(
            alt.layer(equal.encode(x=alt.X("at:Q", scale=scale), y=alt.Y("at:Q", scale=scale)), points, *names)
            .properties(width=size, height=size, title=alt.Title(task, fontSize=8, anchor="start"))
        )  # fmt: skip
    return _spec(alt.concat(*panels, columns=min(3, len(tasks)), spacing=10))


def _named(rows: Sequence[Row], *, low: float, points: float, size: float) -> list[Row]:
    """Rows with the `side` of their name: text that is aligned `left` of it, or `right`; `none` where there is no room.

    Args:
        rows: the points of a panel.
        low: where its axes begin.
        points: points of print per unit of its axes.
        size: its width and height in points.
    """
    places = [((row["baseline"] - low) * points, (row["value"] - low) * points) for row in rows]
    taken = [(x - 3, x + 3, y) for x, y in places]  # left, right, middle
    found = []
    for row, (x, y) in zip(rows, places, strict=True):
        length = 3.6 * len(row["language"])
        boxes = {"left": (x + 5, x + 5 + length, y), "right": (x - 5 - length, x - 5, y)}
        free = [
            side
            for side, box in boxes.items()
            if box[0] >= 0 and box[1] <= size + 10
            and not any(box[0] < other[1] and other[0] < box[1] and abs(y - other[2]) < 6 for other in taken)
        ]  # fmt: skip
        if free:
            taken.append(boxes[free[0]])
        found.append({**row, "side": free[0] if free else "none"})
    return found


def curves(rows: Sequence[Row]) -> Spec:
    """The loss of each training over its course, one panel for each step, a thin line for each seed."""
    return _lines(rows, panel="training", x="share", y="loss", x_title="share of the steps", y_title="training loss")


def layers(rows: Sequence[Row]) -> Spec:
    """The accuracy of every layer's embeddings, the mean over languages, a thin line for each seed."""
    return _lines(rows, panel="task", x="layer", y="accuracy", x_title="layer", y_title="accuracy")


def _lines(rows: Sequence[Row], *, panel: str, x: str, y: str, x_title: str, y_title: str) -> Spec:
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    count = len({row[panel] for row in rows})
    columns = min(3, count)
    palette = [PALETTE[place % len(PALETTE)] for place in range(len(conditions))]
    dashes = [_DASHES[place % len(_DASHES)] for place in range(len(conditions))]
    legend = alt.Legend(orient="top", title=None, symbolType="stroke")
    chart = (
        alt.Chart(_values(rows))
        .mark_line(strokeWidth=0.8, opacity=0.85)
        .encode(
            x=alt.X(f"{x}:Q", title=x_title, axis=alt.Axis(tickCount=4)),
            y=alt.Y(f"{y}:Q", title=y_title, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4)),
            color=alt.Color("condition:N", scale=alt.Scale(domain=conditions, range=palette), legend=legend),
            strokeDash=alt.StrokeDash("condition:N", scale=alt.Scale(domain=conditions, range=dashes), legend=legend),
            detail="seed:N",
        )
        .properties(width=(WIDTH - columns * 40) // columns, height=90)
        .facet(facet=alt.Facet(f"{panel}:N", title=None, sort=None), columns=columns, spacing=10)
        .resolve_scale(y="independent")
    )
    return _spec(chart)


def _values(rows: Sequence[Mapping[str, Any]]) -> Any:
    return alt.InlineData(values=[dict(row) for row in rows])


def _spec(chart: alt.TopLevelMixin) -> Spec:
    with alt.data_transformers.enable(consolidate_datasets=False):
        spec: Spec = chart.to_dict(validate=True)
    spec.pop("config", None)
    return spec
