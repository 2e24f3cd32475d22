"""Figures for a paper: the report's charts and some more, in print sizes, without titles.

The colours are those of Okabe and Ito (2008), which colour-blind readers tell apart; shapes, dashes and the numbers in
cells say the same without them. A PDF has its fonts in it, a PNG has 300 dots to the inch, text in an SVG is outlines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import write_atomically
from xtreme_dag.core.home import Home
from xtreme_dag.engine.store import Store
from xtreme_dag.report.charts import charts
from xtreme_dag.report.content import Content, Row
from xtreme_dag.report.drawing import Spec
from xtreme_dag.report.figures import signed
from xtreme_dag.report.heat import heat_data
from xtreme_dag.report.language_charts import SCRIPTED
from xtreme_dag.report.outlines import FONT, font_folder, outlined
from xtreme_dag.results.query import reader

FORMATS = ("svg", "pdf", "png")
_PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442"]
_COLOURS = {
    "better": "#0072B2",
    "worse": "#D55E00",
    "open": "#767676",
    "accent": "#0072B2",
    "ink": "#000000",
    "muted": "#555555",
    "line": "#D9D9D9",
    "on-strong": "#FFFFFF",
    "hatch": "#ECECEC",
    **{f"line-{number}": colour for number, colour in enumerate(_PALETTE, start=1)},
}
_DASHES = [[1, 0], [4, 2], [1, 2], [6, 2, 1, 2], [2, 1], [8, 2], [3, 3], [1, 1]]
_SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left"]
_WIDTH = 396  # points: the text width of the usual styles (5.5 inches)
_PER_INCH = 300
_NAMES = 92  # points that the names of tasks, conditions or languages take on the left
_FAINT = 3  # points: smaller differences never get the full colour
_CONFIG = {
    "font": FONT,
    "background": "white",
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 7, "titleFontSize": 7, "titleFontWeight": "normal", "titlePadding": 4, "gridColor": "#D9D9D9",
        "domainColor": "#555555", "tickColor": "#555555", "tickSize": 3, "gridWidth": 0.5, "labelOverlap": True,
    },
    "legend": {"labelFontSize": 7, "titleFontSize": 7, "titleFontWeight": "normal", "symbolSize": 30},
    "header": {"labelFontSize": 8, "titleFontSize": 8},
    "text": {"fontSize": 7},
}  # fmt: skip


def write_figures(home: Home, content: Content, folder: Path, form: str) -> list[Path]:
    """Writes the figures of a study that there is something to show for; returns the files.

    Args:
        home: the folder in which all state lives.
        content: what was read of the study.
        folder: where, created if missing.
        form: one of `FORMATS`.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for name, spec in figures(home, content).items():
            write_atomically(folder / f"{name}.{form}", drawn(spec, form))
            written.append(folder / f"{name}.{form}")
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror})", where=str(folder)) from None
    return written


def drawn(spec: Spec, form: str) -> bytes:
    """A specification as a drawing; equal specifications give equal drawings."""
    import vl_convert

    vl_convert.register_font_directory(str(font_folder()))
    version = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    if form == "svg":
        return outlined(str(vl_convert.vegalite_to_svg(spec, vl_version=version, config=_CONFIG))).encode()
    if form == "pdf":
        return bytes(vl_convert.vegalite_to_pdf(spec, vl_version=version, config=_CONFIG))
    # 72 pixels of the drawing are an inch
    scale = _PER_INCH / 72
    return bytes(vl_convert.vegalite_to_png(spec, vl_version=version, config=_CONFIG, scale=scale, ppi=72.0))


def figures(home: Home, content: Content) -> dict[str, Spec]:
    """Name of a figure -> specification; only those that there is something to show for."""
    found = {name: _printed(spec) for name, spec in charts(content).items() if name not in SCRIPTED}
    for task in dict.fromkeys(row["task"] for row in heat_data(content)["rows"]):
        found[f"heat_{_plain(task)}"] = _heat(content, task)
    for comparison in content.comparisons:
        found[f"languages_{_plain(comparison.condition)}"] = _languages(content, comparison.condition)
    curves, sweeps = _read_artifacts(home, content)
    if curves:
        found["curves"] = _curves(curves)
    if sweeps:
        found["layers"] = _layers(sweeps)
    return found


def _plain(name: str) -> str:
    """A name as a part of a file's name."""
    return "".join(letter if letter.isalnum() or letter in "-+." else "_" for letter in name)


def _printed(spec: Spec) -> Spec:
    """A chart of the report for paper: its colours, sizes and points."""
    text = json.dumps(spec)
    for name, colour in _COLOURS.items():
        text = text.replace(f"var(--{name})", colour)
    made: Spec = json.loads(text)
    panels = made.pop("usermeta", {}).get("panels", 1)
    made.pop("background", None)
    made.pop("description", None)
    if "facet" in made:
        # the names stand on the left once; scales of their own, as the transfer gap has, need numbers above each line
        columns = min(3, panels)
        made |= {"columns": columns, "spacing": 14}
        step = 20 if "resolve" in made else 14
        # Lines of names have a height each, curves one in all.
        height = 90 if isinstance(made["spec"].get("height"), (int, float)) else {"step": step}
        made["spec"] |= {"width": (_WIDTH - _NAMES - (columns - 1) * 14) // columns, "height": height}
    elif isinstance(made.get("width"), (int, float)):
        made |= {"width": _WIDTH - 40, "height": 180}
    return dict(_smaller(made))


def _smaller(value: Any) -> Any:
    """Marks and texts of the screen in the sizes of print."""
    if isinstance(value, list):
        return [_smaller(one) for one in value]
    if not isinstance(value, dict):
        return value
    made = {key: _smaller(one) for key, one in value.items() if key != "tooltip"}
    for key, share in (
        ("fontSize", 0.62),
        ("labelFontSize", 0.62),
        ("strokeWidth", 0.6),
        ("labelLimit", 0.8),
        ("dy", 0.8),
    ):
        if isinstance(made.get(key), (int, float)):
            made[key] = made[key] * share
    if isinstance(made.get("mark"), dict) and made["mark"].get("type") == "point" and "size" in made["mark"]:
        made["mark"]["size"] = 28
    for row in made.get("values", []) if isinstance(made.get("values"), list) else []:
        if isinstance(row, dict) and isinstance(row.get("size"), (int, float)):
            row["size"] = row["size"] * 0.3
    return made


def _heat(content: Content, task: str) -> Spec:
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
    step = max(30, min(64, (_WIDTH - _NAMES) // size))
    x = alt.X("condition:N", sort=data["conditions"], title=None, axis=alt.Axis(orient="top", labelAngle=-30, ticks=False, domain=False))  # fmt: skip
    y = alt.Y("language:N", title=None, axis=alt.Axis(ticks=False, domain=False, labelLimit=_NAMES))
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


def _languages(content: Content, condition: str) -> Spec:
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
        size = (_WIDTH - columns * 44) // columns
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


def _curves(rows: Sequence[Row]) -> Spec:
    """The loss of each training over its course, one panel for each step, a thin line for each seed."""
    return _lines(rows, panel="training", x="share", y="loss", x_title="share of the steps", y_title="training loss")


def _layers(rows: Sequence[Row]) -> Spec:
    """The accuracy of every layer's embeddings, the mean over languages, a thin line for each seed."""
    return _lines(rows, panel="task", x="layer", y="accuracy", x_title="layer", y_title="accuracy")


def _lines(rows: Sequence[Row], *, panel: str, x: str, y: str, x_title: str, y_title: str) -> Spec:
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    count = len({row[panel] for row in rows})
    columns = min(3, count)
    palette = [_PALETTE[place % len(_PALETTE)] for place in range(len(conditions))]
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
        .properties(width=(_WIDTH - columns * 40) // columns, height=90)
        .facet(facet=alt.Facet(f"{panel}:N", title=None, sort=None), columns=columns, spacing=10)
        .resolve_scale(y="independent")
    )
    return _spec(chart)


def _read_artifacts(home: Home, content: Content) -> tuple[list[Row], list[Row]]:
    """The loss curves of a study's trainings, and the accuracies of every layer where a recipe asked for them."""
    store, study = Store(home.store), content.study["study"]
    shown = {row["condition"] for row in content.conditions if row["average"] is not None}
    with reader(home, predictions=False) as connection:
        stages = connection.execute(
            "SELECT DISTINCT c.condition, s.kind, s.name, s.digest FROM stages s JOIN condition_stages c USING (study, stage_key)"
            " WHERE s.study = ? AND s.current AND s.kind IN ('intermediate', 'target') ORDER BY ALL",
            [study],
        ).fetchall()
        evaluations = connection.execute(
            "SELECT condition, task, language, seed, digest FROM evaluations WHERE study = ? AND split = ? ORDER BY ALL",
            [study, content.split],
        ).fetchall()
    curves: list[Row] = []
    for condition, kind, name, digest in stages:
        losses = _told(store.artifact(digest) / "training.json").get("loss_curve") or []
        if condition not in shown or len(losses) < 2:
            continue
        training = name.partition("[")[2].partition(" | ")[0] if kind == "target" else "intermediate"
        seed = name.rpartition("seed ")[2].rstrip("]")
        curves += [
            {"condition": condition, "training": training, "seed": seed, "share": (place + 0.5) / len(losses), "loss": loss}
            for place, loss in enumerate(losses)
        ]  # fmt: skip
    sums: dict[tuple[str, str, int, int], list[float]] = {}
    for condition, task, _language, seed, digest in evaluations:
        for one in _told(store.artifact(digest) / "sweep.json").get("layers", []) if condition in shown else []:
            sums.setdefault((condition, task, seed, one["layer"]), []).append(one["accuracy"])
    sweeps = [
        {"condition": condition, "task": task, "seed": seed, "layer": layer, "accuracy": sum(found) / len(found)}
        for (condition, task, seed, layer), found in sums.items()
    ]
    return curves, sweeps


def _told(path: Path) -> Mapping[str, Any]:
    """The content of a JSON file of an artifact; nothing where it is gone."""
    try:
        found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _values(rows: Sequence[Mapping[str, Any]]) -> Any:
    return alt.InlineData(values=[dict(row) for row in rows])


def _spec(chart: alt.TopLevelMixin) -> Spec:
    with alt.data_transformers.enable(consolidate_datasets=False):
        spec: Spec = chart.to_dict(validate=True)
    spec.pop("config", None)
    return spec
