"""What all charts of the report are made with: colours, hatches, words, and Vega-Lite specifications from Altair.

Colours are the page's CSS variables, which an SVG takes from the page that it stands in: one drawing serves light,
dark and paper. So is the hatch of what one side of a comparison was trained on, `var(--hatch)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

Spec = dict[str, Any]
VERDICTS = ["better", "worse", "not decided"]
COLOURS = ["var(--better)", "var(--worse)", "var(--open)"]
SHAPES = ["triangle-up", "triangle-down", "circle"]
WORDS = {"better": "better", "worse": "worse", "open": "not decided"}
LEGEND = alt.Legend(orient="top")
HEADER = alt.Header(labelFontSize=13, labelFontWeight="bold", labelAnchor="start", labelPadding=6)


def intervals(y: alt.Y, title: str, tooltip: Sequence[alt.Tooltip]) -> alt.LayerChart | alt.FacetChart:
    """Differences in lines: a bar for each interval, a mark for the verdict, a dot for each seed, a hatch where seen.

    Args:
        y: the lines.
        title: of the axis.
        tooltip: of a line.

    Rows of the data have `what`: `mean` (`delta`, `low`, `high`, `verdict`, `size` of the mark, `seen`) or `seed` (`delta`).
    """
    colour = alt.Color("verdict:N", title=None, scale=alt.Scale(domain=VERDICTS, range=COLOURS), legend=LEGEND)
    shape = alt.Shape("verdict:N", title=None, scale=alt.Scale(domain=VERDICTS, range=SHAPES), legend=LEGEND)
    base = alt.Chart().encode(y=y)
    means = base.transform_filter("datum.what == 'mean'")
    zero = alt.Chart().mark_rule(color="var(--muted)", strokeDash=[3, 3], aria=False).encode(x=alt.datum(0))
    seen = means.transform_filter("datum.seen").mark_rect(fill="var(--hatch)", aria=False)
    lines = means.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2.5).encode(
        x=alt.X("low:Q", title=title), x2="high:Q", color=colour, tooltip=list(tooltip)
    )  # fmt: skip
    points = means.mark_point(filled=True, opacity=1).encode(
        x=alt.X("delta:Q", title=title), size=alt.Size("size:Q", scale=None), color=colour, shape=shape, tooltip=list(tooltip)
    )  # fmt: skip
    seeds = base.transform_filter("datum.what == 'seed'").mark_point(
        filled=True, size=16, color="var(--ink)", opacity=0.75
    ).encode(x="delta:Q")  # fmt: skip
    return alt.layer(seen, zero, lines, seeds, points)


def figures_tooltip(*names: alt.Tooltip) -> list[alt.Tooltip]:
    """Names, then the figures of a difference."""
    return [
        *names,
        alt.Tooltip("delta:Q", format="+.2f", title="points"), alt.Tooltip("low:Q", format="+.2f"), alt.Tooltip("high:Q", format="+.2f"),
    ]  # fmt: skip


def values(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Rows as the data of a chart."""
    return alt.InlineData(values=[dict(row) for row in rows])


def described(chart: alt.TopLevelMixin, description: str, *, panels: int = 1) -> Spec:
    """The chart as JSON values, with what it shows for who cannot see it, and its number of panels."""
    with alt.data_transformers.enable(consolidate_datasets=False):
        spec: Spec = chart.to_dict(validate=True)
    spec.pop("config", None)
    return spec | {"description": description, "background": None, "usermeta": {"panels": panels}}
