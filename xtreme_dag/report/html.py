"""The report: one HTML file that opens offline, made of the templates in `templates/`, one for each section.

Whatever a template prints is escaped, except for what is `Markup`: other sections, style and scripts of ours.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from xtreme_dag.core.durations import duration
from xtreme_dag.core.files import write_atomically
from xtreme_dag.core.home import Home
from xtreme_dag.core.user_cache import kept_text
from xtreme_dag.report.charts import charts, row_name
from xtreme_dag.report.content import Content, read_content
from xtreme_dag.report.figures import interval, number, signed, size
from xtreme_dag.report.heat import heat_data
from xtreme_dag.report.view import kept_together, view, violation
from xtreme_dag.report.words import described
from xtreme_dag.results.wording import detail

_ROOM = Path(__file__).parent
# template -> what the page's navigation calls it
_SECTIONS = {
    "conditions": "Conditions",
    "differences": "Differences",
    "levels": "Levels",
    "languages": "Languages",
    "transfer": "Transfer gap",
    "learning": "Learning curves",
    "cost": "Cost",
    "training": "Training",
    "published": "Published",
    "predictions": "Predictions",
    "warnings": "Warnings",
    "contracts": "Contracts",
    "overlaps": "Overlap",
    "provenance": "What was run",
}


def write_report(home: Home, study: str, out: Path | None = None, *, resamples: int | None = None) -> Path:
    """Writes a study's report; equal results give equal bytes.

    Args:
        home: the folder in which all state lives.
        study: name of the study.
        out: the file; `reports/<study>.html` in the home by default.
        resamples: number of resamples of the comparisons; what the study file says by default.

    Returns:
        The file.

    Raises:
        UserError: the study has not landed, has no scores, or its predictions are gone.
    """
    path = Path(out) if out is not None else home.reports / f"{quote(study, safe=' ')}.html"
    return write_page(read_content(home, study, resamples=resamples), path)


def write_page(content: Content, path: Path) -> Path:
    """Writes what was read as a page; returns the file."""
    # half a surrogate pair, which a prediction can have, becomes a question mark
    write_atomically(path, page(content).encode("utf-8", "replace"))
    return path


def page(content: Content) -> str:
    """The report as HTML with everything in it: style, scripts, charts and data."""
    make, values = templates(), view(content)
    made = [(name, title, make.get_template(f"{name}.html").render(values)) for name, title in _SECTIONS.items()]
    return make.get_template("page.html").render(
        values,
        sections=[(name, title, Markup(body)) for name, title, body in made if body.strip()],
        style=Markup((_ROOM / "report.css").read_text(encoding="utf-8")),
        data={"specs": charts(content), "heat": heat_data(content)},
        vega=inline_script(_vega()),
        script=inline_script((_ROOM / "report.js").read_text(encoding="utf-8")),
    )


@lru_cache(maxsize=1)
def templates() -> Environment:
    """The templates, with figures as filters; `tojson` writes what can stand inside a script element."""
    made = Environment(
        loader=PackageLoader("xtreme_dag.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":"), "allow_nan": False}
    made.filters |= {
        "number": number,
        "signed": signed,
        "duration": duration,
        "size": size,
        "thousands": _thousands,
        "headline": kept_together,
        "detail": detail,
        "row_name": row_name,
        "described": described,
    }
    made.globals |= {"interval": interval, "violation": violation}
    return made


def inline_script(source: str) -> Markup:
    """JavaScript that can stand inside a script element."""
    return Markup(source.replace("</script", "<\\/script").replace("<!--", "<\\!--"))


def _thousands(value: Any) -> str:
    return "" if value is None else f"{value:,.0f}"


@lru_cache(maxsize=1)
def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script without dependencies, for the Vega-Lite that Altair speaks.

    Bundling takes 1.6 s.
    """
    import altair

    version = ".".join(altair.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    return kept_text(f"vega-{version}-{metadata.version('vl-convert-python')}.js", lambda: _bundle(version))


def _bundle(version: str) -> str:
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version))
