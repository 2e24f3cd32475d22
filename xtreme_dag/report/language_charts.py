"""The charts of languages; the page's script fills in the rows that its filters leave, and their order."""

from __future__ import annotations

import altair as alt

from xtreme_dag.report.content import Content
from xtreme_dag.report.drawing import HEADER, Spec, described, figures_tooltip, intervals, values

_HUES = ["up", "down", "plain"]
_HUE_COLOURS = ["var(--better)", "var(--worse)", "var(--accent)"]
SCRIPTED = ("heat", "by_language")
"""Names of the charts that the script fills."""


def heat(content: Content) -> Spec:
    """Language x condition; what a side was trained on is hatched."""
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
    base = alt.Chart(values([])).encode(x=x, y=y, tooltip=tooltip)
    cells = base.mark_rect(cornerRadius=2).encode(
        fill=alt.Fill("hue:N", scale=alt.Scale(domain=_HUES, range=_HUE_COLOURS), legend=None),
        fillOpacity=alt.FillOpacity("strength:Q", scale=alt.Scale(domain=[0, 1], range=[0.05, 0.92]), legend=None),
    )
    hatches = base.transform_filter("datum.seen").mark_rect(cornerRadius=2, fill="var(--hatch)", aria=False)
    text = base.mark_text(fontSize=11).encode(
        text="text:N",
        color=alt.condition("datum.strength > 0.62", alt.value("var(--on-strong)"), alt.value("var(--ink)")),
    )
    return described(
        alt.layer(cells, hatches, text).properties(width=alt.Step(74), height=alt.Step(21)),
        "Heat map: one line per language, one column per condition",
    )


def by_language(content: Content) -> Spec:
    """Differences to the baseline with their intervals and seeds: one panel per condition, one line per language."""
    y = alt.Y("label:N", sort=[], title=None, axis=alt.Axis(labelLimit=220, ticks=False, domain=False))
    tooltip = [
        *figures_tooltip(alt.Tooltip("condition:N"), alt.Tooltip("label:N", title="language"), alt.Tooltip("task:N")),
        alt.Tooltip("verdict:N"), alt.Tooltip("supervision:N", title="trained on"),
    ]  # fmt: skip
    order = [one.condition for one in content.comparisons]
    return described(
        intervals(y, f"points over {content.study['baseline']}", tooltip)
        .properties(data=values([]), width=260, height=alt.Step(20))
        .facet(facet=alt.Facet("condition:N", sort=order, title=None, header=HEADER), columns=3, spacing=28),
        "Differences to the baseline in points, with intervals and seeds, per language and condition",
        panels=len(order),
    )
