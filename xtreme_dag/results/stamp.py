"""What was published last, and where: a stamp that tells a run with nothing new to leave database and report alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from xtreme_dag.core.files import sha256_of, write_atomically
from xtreme_dag.core.home import Home
from xtreme_dag.engine.keys import Keys
from xtreme_dag.study.file import Study

_LAND = "xtreme_dag.results.landing:land"
_REPORT = "xtreme_dag.report.html:write_report"
_SUPERVISION = "xtreme_dag.wiring.supervision:supervision"
_SIGNALS = "xtreme_dag.results.signals:signals_of"
_PAGE = Path(__file__).parents[1] / "report"  # templates, style and script are no code that has a fingerprint


def report_path(home: Home, study: Study) -> Path:
    """Where a study's report is kept."""
    return home.reports / f"{study.study}.html"


def landing_path(home: Home, study: str) -> Path:
    """Where the landing of a study is kept."""
    return home.landings / f"{quote(study, safe=' ')}.json"


def publication(study: Study, artifacts: Mapping[str, tuple[str, str]], keys: Keys) -> str:
    """Identity of what is to be published: the study, its stages (name -> key and digest), and the code that does it."""
    code = {function: keys.code_digest(function) for function in (_LAND, _REPORT, _SUPERVISION, _SIGNALS)}
    page = {path.name: path.read_text() for path in _PAGE.rglob("*") if path.suffix in (".html", ".css", ".js")}
    return sha256_of(
        {
            "study": study.model_dump(mode="json", exclude={"keep"}),
            "stages": {name: list(pair) for name, pair in artifacts.items()},
            "code": code,
            "page": sha256_of(page),
        }
    )


def is_published(home: Home, study: Study, identity: str) -> bool:
    """Whether database, landing and report are there and already say this."""
    made = (home.results, landing_path(home, study.study), report_path(home, study))
    try:
        stamp = json.loads(_stamp(home, study.study).read_text())
        return bool(stamp["identity"] == identity and all(path.is_file() for path in made))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def mark_published(home: Home, study: Study, identity: str, warnings: Sequence[str], answer: Sequence[str]) -> None:
    """Remembers what was published, with its warnings and answer: a run with nothing to do says both and reads nothing."""
    said = {"identity": identity, "warnings": list(warnings), "answer": list(answer)}
    write_atomically(_stamp(home, study.study), json.dumps(said))


def published_lines(home: Home, study: Study) -> dict[str, list[str]]:
    """`answer` and `warnings`: what was said when a study was last published."""
    try:
        stamp = json.loads(_stamp(home, study.study).read_text())
        return {name: list(map(str, stamp[name])) for name in ("answer", "warnings")}
    except (OSError, ValueError, KeyError, TypeError):
        return {"answer": [], "warnings": []}


def forget_published(home: Home, study: str) -> None:
    """Lets the next run of a study land and report again: its results have changed under it."""
    _stamp(home, study).unlink(missing_ok=True)


def _stamp(home: Home, study: str) -> Path:
    return home.caches / f"published-{study}.json"
