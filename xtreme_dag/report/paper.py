"""Figures for a paper: the report's charts and some more, in print sizes, without titles.

A PDF has its fonts in it, a PNG has 300 dots to the inch, text in an SVG is outlines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
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
from xtreme_dag.report.heat import heat_data
from xtreme_dag.report.language_charts import SCRIPTED
from xtreme_dag.report.outlines import FONT, font_folder, outlined
from xtreme_dag.report.paper_charts import NAMES, PALETTE, WIDTH, curves, heat, languages, layers
from xtreme_dag.results.query import reader

FORMATS = ("svg", "pdf", "png")
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
    **{f"line-{number}": colour for number, colour in enumerate(PALETTE, start=1)},
}
_PER_INCH = 300
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
        found[f"heat_{_plain(task)}"] = heat(content, task)
    for comparison in content.comparisons:
        found[f"languages_{_plain(comparison.condition)}"] = languages(content, comparison.condition)
    losses, sweeps = _read_artifacts(home, content)
    if losses:
        found["curves"] = curves(losses)
    if sweeps:
        found["layers"] = layers(sweeps)
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
        made["spec"] |= {"width": (WIDTH - NAMES - (columns - 1) * 14) // columns, "height": height}
    elif isinstance(made.get("width"), (int, float)):
        made |= {"width": WIDTH - 40, "height": 180}
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
