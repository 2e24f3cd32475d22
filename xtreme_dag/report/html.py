"""The report: one HTML file that opens offline."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from string import Template
from urllib.parse import quote

from xtreme_dag.core.files import write_atomically
from xtreme_dag.core.home import Home
from xtreme_dag.report import evidence, sections
from xtreme_dag.report.charts import charts
from xtreme_dag.report.content import Content, read_content
from xtreme_dag.report.heat import heat_data
from xtreme_dag.report.markup import esc, inline_json, inline_script

_ROOM = Path(__file__).parent
_SECTIONS = {
    "conditions": ("Conditions", sections.conditions),
    "differences": ("Differences", sections.differences),
    "languages": ("Languages", sections.languages),
    "transfer": ("Transfer gap", sections.transfer),
    "cost": ("Cost", sections.costs),
    "published": ("Published", evidence.published),
    "predictions": ("Predictions", evidence.predictions),
    "contracts": ("Contracts", evidence.contracts),
    "provenance": ("What was run", evidence.provenance),
}


def write_report(home: Path, study: str, out: Path | None = None, *, resamples: int | None = None) -> Path:
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
    path = Path(out) if out is not None else Home(Path(home)).reports / f"{quote(study, safe=' ')}.html"
    return write_page(read_content(Path(home), study, resamples=resamples), path)


def write_page(content: Content, path: Path) -> Path:
    """Writes what was read as a page; returns the file."""
    write_atomically(path, page(content))
    return path


def page(content: Content) -> str:
    """The report as HTML with everything in it: style, scripts, charts and data."""
    made = {name: (title, make(content)) for name, (title, make) in _SECTIONS.items()}
    nav = "".join(f'<a href="#{name}">{esc(title)}</a>' for name, (title, body) in made.items() if body)
    study = content.study
    return Template((_ROOM / "page.html").read_text(encoding="utf-8")).substitute(
        title=esc(f"{study['study']}: {study['question']}"),
        style=(_ROOM / "report.css").read_text(encoding="utf-8"),
        nav=nav,
        body=sections.answer(content) + "".join(body for _, body in made.values()),
        footer=(
            f"Made by xtreme-dag from the landing {esc(study['landing_digest'][:16])}. "
            "The same results are in <code>results.duckdb</code>: <code>xtreme-dag sql</code>."
        ),
        data=inline_json({"specs": charts(content), "heat": heat_data(content)}),
        vega=inline_script(_vega()),
        script=inline_script((_ROOM / "report.js").read_text(encoding="utf-8")),
    )


@lru_cache(maxsize=1)
def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script without dependencies, for the Vega-Lite that Altair speaks."""
    import altair
    import vl_convert

    version = ".".join(altair.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version))
