"""The charts, as Vega-Lite specifications made with Altair.

Colours are the page's CSS variables, which an SVG takes from the page that it stands in: one drawing serves light,
dark and paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from xtreme_dag.report.content import Content
from xtreme_dag.results.effects import Effect

Spec = dict[str, Any]
_VERDICTS = ["better", "worse", "not decided"]
_COLOURS = ["var(--better)", "var(--worse)", "var(--open)"]
_SHAPES = ["triangle-up", "triangle-down", "circle"]
_WORDS = {"better": "better", "worse": "worse", "open": "not decided"}
_HUES = ["up", "down", "plain"]
_HUE_COLOURS = ["var(--better)", "var(--worse)", "var(--accent)"]
_LEGEND = alt.Legend(orient="top")
_HEADER = alt.Header(labelFontSize=13, labelFontWeight="bold", labelAnchor="start", labelPadding=6)
ALL_TASKS = "all tasks"
_LINES = 8  # colours of lines that the page has
_SEEN_ROW = "{}, seen"


def row_name(effect: Effect) -> str:
    """The name of a row of the forest plot and of its table."""
    name = effect.task or ALL_TASKS
    return _SEEN_ROW.format(name) if effect.part == "seen" else name


def charts(content: Content) -> dict[str, Spec]:
    """Name of a chart -> specification; only those that there is something to show for."""
    wanted = {
        forest: content.comparisons,
        heat: content.cells,
        gap: content.gaps,
        learning: content.learning,
        cost: content.comparisons and content.costs[1:],
        loss: [row for row in content.curves if row["measure"] == "loss"],
        dev: [row for row in content.curves if row["measure"] == "dev"],
    }
    return {make.__name__: make(content) for make, rows in wanted.items() if rows}


def forest(content: Content) -> Spec:
    """Differences to the baseline with their intervals: one panel per condition, one line per task."""
    rows = [
        {
            "condition": comparison.title,
            "task": row_name(effect),
            "languages": effect.part,
            "delta": round(effect.delta, 3),
            "low": round(effect.low, 3),
            "high": round(effect.high, 3),
            "p": round(effect.p_corrected, 4),
            "verdict": _WORDS[effect.verdict],
            "size": 160 if effect.task is None else 90,
        }
        for comparison in content.comparisons
        for effect in comparison.rows
    ]
    names = [*(row["task"] for row in content.tasks), ALL_TASKS]
    order = [*names, *map(_SEEN_ROW.format, names)]
    y = alt.Y("task:N", sort=order, title=None, axis=alt.Axis(labelLimit=260, ticks=False, domain=False))
    tooltip = [
        alt.Tooltip("condition:N"), alt.Tooltip("task:N"), alt.Tooltip("languages:N"),
        alt.Tooltip("delta:Q", format="+.2f", title="points"), alt.Tooltip("low:Q", format="+.2f"), alt.Tooltip("high:Q", format="+.2f"),
        alt.Tooltip("p:Q", format=".4f", title="p, corrected"), alt.Tooltip("verdict:N"),
    ]  # fmt: skip
    colour = alt.Color("verdict:N", title=None, scale=alt.Scale(domain=_VERDICTS, range=_COLOURS), legend=_LEGEND)
    base = alt.Chart().encode(y=y, color=colour, tooltip=tooltip)
    zero = alt.Chart().mark_rule(color="var(--muted)", strokeDash=[3, 3]).encode(x=alt.datum(0))
    lines = base.mark_rule(strokeWidth=2.5).encode(
        x=alt.X("low:Q", title=f"points over {content.study['baseline']}"), x2="high:Q"
    )
    points = base.mark_point(filled=True, opacity=1).encode(
        x="delta:Q",
        size=alt.Size("size:Q", scale=None),
        shape=alt.Shape("verdict:N", title=None, scale=alt.Scale(domain=_VERDICTS, range=_SHAPES), legend=_LEGEND),
    )
    return _spec(
        alt.layer(zero, lines, points, data=_values(rows))
        .properties(width=260, height=alt.Step(26))
        .facet(
            facet=alt.Facet("condition:N", sort=[c.title for c in content.comparisons], title=None, header=_HEADER),
            columns=3,
            spacing=28,
        ),
        "Differences to the baseline in points, with intervals, per task and condition",
        panels=len(content.comparisons),
    )


def heat(content: Content) -> Spec:
    """Language x condition; the page's script fills in the rows that the filters leave, and their order."""
    order = [row["condition"] for row in content.conditions]
    x = alt.X(
        "condition:N",
        sort=order,
        title=None,
        axis=alt.Axis(orient="top", labelAngle=-30, labelLimit=160, ticks=False, domain=False),
    )
    y = alt.Y("label:N", sort=[], title=None, axis=alt.Axis(labelLimit=220, ticks=False, domain=False))
    tooltip = [
        alt.Tooltip("label:N", title="language"), alt.Tooltip("family:N"), alt.Tooltip("script:N"),
        alt.Tooltip("condition:N"), alt.Tooltip("task:N"), alt.Tooltip("value:Q", format=".2f", title="score"),
        alt.Tooltip("delta:Q", format="+.2f", title="points over baseline"), alt.Tooltip("interval:N"),
        alt.Tooltip("supervision:N", title="trained on"),
    ]  # fmt: skip
    base = alt.Chart(_values([])).encode(x=x, y=y, tooltip=tooltip)
    cells = base.mark_rect(cornerRadius=2).encode(
        fill=alt.Fill("hue:N", scale=alt.Scale(domain=_HUES, range=_HUE_COLOURS), legend=None),
        fillOpacity=alt.FillOpacity("strength:Q", scale=alt.Scale(domain=[0, 1], range=[0.05, 0.92]), legend=None),
    )
    text = base.mark_text(fontSize=11).encode(
        text="text:N",
        color=alt.condition("datum.strength > 0.62", alt.value("var(--on-strong)"), alt.value("var(--ink)")),
    )
    return _spec(
        alt.layer(cells, text).properties(width=alt.Step(74), height=alt.Step(21)),
        "Heat map: one line per language, one column per condition",
    )


def gap(content: Content) -> Spec:
    """For each task and condition the source language and the mean of the others, joined by a line."""
    rows = [
        {
            "condition": row["condition"],
            "task": row["task"],
            "source": round(row["source_value"], 3),
            "others": round(row["transfer_value"], 3),
            "middle": (round(row["source_value"], 3) + round(row["transfer_value"], 3)) / 2,
            "gap": round(row["gap"], 3),
            "languages": row["languages"],
        }
        for row in content.gaps
    ]
    order = [row["condition"] for row in content.conditions]
    y = alt.Y("condition:N", sort=order, title=None, axis=alt.Axis(labelLimit=200, ticks=False, domain=False))
    scale = alt.Scale(zero=False, nice=True)
    tooltip = [
        alt.Tooltip("task:N"), alt.Tooltip("condition:N"), alt.Tooltip("source:Q", format=".2f", title="source language"),
        alt.Tooltip("others:Q", format=".2f", title="mean of the others"), alt.Tooltip("gap:Q", format="+.2f"),
    ]  # fmt: skip
    base = alt.Chart().encode(y=y, tooltip=tooltip)
    line = base.mark_rule(color="var(--muted)", strokeWidth=2).encode(
        x=alt.X("others:Q", scale=scale, title="score"), x2="source:Q"
    )
    others = base.mark_point(filled=True, size=90, opacity=1, color="var(--accent)").encode(
        x=alt.X("others:Q", scale=scale)
    )
    english = base.mark_point(filled=False, size=90, strokeWidth=2, color="var(--accent)").encode(
        x=alt.X("source:Q", scale=scale)
    )
    text = base.mark_text(dx=0, dy=-9, fontSize=10, color="var(--muted)").encode(
        x=alt.X("middle:Q", scale=scale), text=alt.Text("gap:Q", format="+.1f")
    )
    return _spec(
        alt.layer(line, others, english, text, data=_values(rows))
        .properties(width=260, height=alt.Step(30))
        .facet(facet=alt.Facet("task:N", title=None, header=_HEADER), columns=3, spacing=28)
        .resolve_scale(x="independent"),
        "Transfer gap: the source language (ring) against the mean of the other languages (dot)",
        panels=len({row["task"] for row in rows}),
    )


def learning(content: Content) -> Spec:
    """Score against the number of a language's own examples: a panel for each task and language.

    A line through the means, bars for their intervals over seeds, rings for the seeds. The axis is logarithmic but for
    its beginning, so that none has a place.
    """
    rows: list[dict[str, Any]] = []
    for point in content.learning:
        of = {"curve": point["curve"], "panel": f"{point['task']}, {point['language']}", "examples": point["examples"]}
        mean = {"value": round(point["value"], 3), "condition": point["condition"]}
        ends = {} if point["low"] is None else {"low": round(point["low"], 3), "high": round(point["high"], 3)}
        rows.append({**of, **mean, **ends, "what": "mean"})
        rows += [{**of, "value": round(value, 3), "what": "seed"} for value in point["by_seed"] if point["seeds"] > 1]
    names = list(dict.fromkeys(row["curve"] for row in rows))
    counts = sorted({row["examples"] for row in rows})
    hues = [f"var(--line-{number % _LINES + 1})" for number in range(len(names))]
    colour = alt.Color("curve:N", title=None, scale=alt.Scale(domain=names, range=hues), legend=_LEGEND)
    x = alt.X("examples:Q", title="examples in the language", scale=alt.Scale(type="symlog", constant=5),
              axis=alt.Axis(values=counts, labelOverlap=True))  # fmt: skip
    y = alt.Y("value:Q", title="score", scale=alt.Scale(zero=False, nice=True))
    tooltip = [
        alt.Tooltip("condition:N"), alt.Tooltip("examples:Q"), alt.Tooltip("value:Q", format=".1f", title="score"),
        alt.Tooltip("low:Q", format=".1f"), alt.Tooltip("high:Q", format=".1f"),
    ]  # fmt: skip
    base = alt.Chart().encode(x=x, color=colour)
    means = base.transform_filter("datum.what == 'mean'")
    bars = means.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2, opacity=0.5).encode(
        y=alt.Y("low:Q", title="score", scale=alt.Scale(zero=False, nice=True)), y2="high:Q"
    )  # fmt: skip
    line = means.mark_line(strokeWidth=1.8).encode(
        y=y, strokeDash=alt.StrokeDash("curve:N", title=None, scale=alt.Scale(domain=names), legend=_LEGEND)
    )
    dots = means.mark_point(filled=True, size=45, opacity=1).encode(y=y, tooltip=tooltip)
    seeds = base.transform_filter("datum.what == 'seed'").mark_point(filled=False, size=22, strokeWidth=1).encode(y=y)
    panels = list(dict.fromkeys(row["panel"] for row in rows))
    return _spec(
        alt.layer(bars, line, seeds, dots, data=_values(rows))
        .properties(width=260, height=180)
        .facet(facet=alt.Facet("panel:N", title=None, header=_HEADER), columns=3, spacing=28)
        .resolve_scale(y="independent"),
        "Learning curves: score against the number of examples in the language, with intervals over seeds",
        panels=len(panels),
    )


def cost(content: Content) -> Spec:
    """What a condition needs against what it gains."""
    unit, field = cost_unit(content.costs)
    verdicts = {one.condition: _WORDS[one.overall.verdict] for one in content.comparisons}
    rows = [
        {
            "condition": row["condition"],
            "cost": round((row[field] or 0.0) / unit[1], 4),
            "gain": round(row["gain"], 3),
            "low": round(row["low"], 3),
            "high": round(row["high"], 3),
            "verdict": verdicts.get(row["condition"], "baseline"),
        }
        for row in content.costs
    ]
    for row, side in zip(rows, label_sides(rows), strict=True):
        row["side"] = side
    tooltip = [
        alt.Tooltip("condition:N"), alt.Tooltip("cost:Q", format=".3~g", title=unit[0]),
        alt.Tooltip("gain:Q", format="+.2f", title="points"), alt.Tooltip("low:Q", format="+.2f"), alt.Tooltip("high:Q", format="+.2f"),
    ]  # fmt: skip
    base = alt.Chart(_values(rows)).encode(
        x=alt.X("cost:Q", title=unit[0], scale=alt.Scale(zero=True, nice=True)), tooltip=tooltip
    )
    colour = alt.Color(
        "verdict:N", scale=alt.Scale(domain=[*_VERDICTS, "baseline"], range=[*_COLOURS, "var(--muted)"]), legend=None
    )
    zero = alt.Chart(_values([{}])).mark_rule(color="var(--muted)", strokeDash=[3, 3]).encode(y=alt.datum(0))
    bars = base.mark_rule(strokeWidth=2).encode(
        y=alt.Y("low:Q", title=f"points over {content.study['baseline']}"), y2="high:Q", color=colour
    )
    points = base.mark_point(filled=True, size=90, opacity=1).encode(y="gain:Q", color=colour)
    right = base.transform_filter("datum.side == 'right'").mark_text(
        align="left", dx=9, color="var(--ink)", fontSize=12
    )
    left = base.transform_filter("datum.side == 'left'").mark_text(
        align="right", dx=-9, color="var(--ink)", fontSize=12
    )
    sides = {row["side"] for row in rows}  # a layer without rows would be warned about
    names = [
        one.encode(y="gain:Q", text="condition:N") for name, one in (("right", right), ("left", left)) if name in sides
    ]
    return _spec(
        alt.layer(zero, bars, points, *names).properties(width=620, height=280),
        "Cost of each condition against its gain over the baseline, with intervals",
    )


def loss(content: Content) -> Spec:
    """The loss of each training over its steps, the mean over seeds: one panel per target task, one line per condition."""
    return _curves(content, "loss", "training loss")


def dev(content: Content) -> Spec:
    """The looks at dev, likewise."""
    return _curves(content, "dev", "figure on dev")


def _curves(content: Content, measure: str, title: str) -> Spec:
    """A measure of all trainings."""
    rows = [
        {
            "condition": row["condition"],
            "panel": panel_name(row),
            "step": row["optimizer_step"],
            "value": round(row["value"], 4),
        }
        for row in content.curves
        if row["measure"] == measure
    ]
    order = [row["condition"] for row in content.conditions]
    names = [name for name in order if any(row["condition"] == name for row in rows)]
    hues = [f"var(--line-{number % _LINES + 1})" for number in range(len(names))]
    chart = (
        alt.Chart(_values(rows))
        .mark_line(strokeWidth=1.8, point=alt.OverlayMarkDef(size=18))
        .encode(
            x=alt.X("step:Q", title="optimizer step", scale=alt.Scale(zero=True, nice=True)),
            y=alt.Y("value:Q", title=title, scale=alt.Scale(zero=False, nice=True)),
            color=alt.Color("condition:N", title=None, scale=alt.Scale(domain=names, range=hues), legend=_LEGEND),
            strokeDash=alt.StrokeDash("condition:N", title=None, scale=alt.Scale(domain=names), legend=_LEGEND),
            tooltip=[
                alt.Tooltip("panel:N", title="training"),
                alt.Tooltip("condition:N"),
                alt.Tooltip("step:Q"),
                alt.Tooltip("value:Q", format=".4f", title=title),
            ],
        )
        .properties(width=260, height=180)
        .facet(facet=alt.Facet("panel:N", title=None, header=_HEADER), columns=3, spacing=28)
        .resolve_scale(x="independent", y="independent")
    )
    return _spec(chart, f"{title} over the optimizer steps", panels=len({row["panel"] for row in rows}))


def panel_name(row: Mapping[str, Any]) -> str:
    """What a training is called: its target task, or the step of intermediate training."""
    if row["target"]:
        return str(row["target"])
    return "intermediate" if row["step"] == 1 else f"intermediate, step {row['step']}"


def label_sides(rows: Sequence[Mapping[str, Any]], *, width: float = 620, height: float = 280) -> list[str]:
    """On which side of its point each name stands (`right` or `left`), so that as few as can be overlap.

    Args:
        rows: `condition`, `cost`, `gain`, `low` and `high` of each point.
        width, height: of the drawing, in pixels; a letter is taken as 7 wide and 14 high.
    """
    widest = max(row["cost"] for row in rows) or 1.0
    low, high = min(row["low"] for row in rows), max(row["high"] for row in rows)
    places = [(row["cost"] / widest * width, (row["gain"] - low) / ((high - low) or 1.0) * height) for row in rows]
    taken: list[tuple[float, float, float]] = [(x - 5, x + 5, y) for x, y in places]  # left, right, middle
    sides = []
    for row, (x, y) in zip(rows, places, strict=True):
        length = 7.0 * len(row["condition"])
        boxes = {"right": (x + 9, x + 9 + length, y), "left": (x - 9 - length, x - 9, y)}
        clashes = {
            side: sum(box[0] < other[1] and other[0] < box[1] and abs(box[2] - other[2]) < 14 for other in taken)
            + (box[0] < 0) * len(rows)
            for side, box in boxes.items()
        }
        side = min(boxes, key=lambda name: clashes[name])
        taken.append(boxes[side])
        sides.append(side)
    return sides


def cost_unit(costs: Sequence[dict[str, Any]]) -> tuple[tuple[str, float], str]:
    """The unit that suits the costs: (title, seconds in it), and the field that it applies to."""
    field = "gpu_seconds" if any(row["gpu_seconds"] for row in costs) else "seconds"
    kind = "GPU" if field == "gpu_seconds" else "compute"
    largest = max((row[field] or 0.0) for row in costs)
    for name, seconds in (("hours", 3600.0), ("minutes", 60.0)):
        if largest >= 2 * seconds:
            return (f"{kind} {name}", seconds), field
    return (f"{kind} seconds", 1.0), field


def _values(rows: Sequence[Mapping[str, Any]]) -> Any:
    return alt.InlineData(values=[dict(row) for row in rows])


def _spec(chart: alt.TopLevelMixin, description: str, *, panels: int = 1) -> Spec:
    """The chart as JSON values, with what it shows for who cannot see it, and its number of panels."""
    with alt.data_transformers.enable(consolidate_datasets=False):
        spec: Spec = chart.to_dict(validate=True)
    spec.pop("config", None)
    return spec | {"description": description, "background": None, "usermeta": {"panels": panels}}
