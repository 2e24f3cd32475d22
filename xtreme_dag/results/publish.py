"""After the stages: land what there is in the database and write the report, unless both are as they should be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from xtreme_dag.home import Home
from xtreme_dag.results.collect import contract_outcome, evaluation, stage_facts, study_facts
from xtreme_dag.results.facts import StageFacts
from xtreme_dag.stages.build import Built
from xtreme_dag.stages.jsonio import sha256_of, write_atomically
from xtreme_dag.stages.keys import Keys
from xtreme_dag.stages.store import Store
from xtreme_dag.study import Study

if TYPE_CHECKING:
    from xtreme_dag.report.short import Short

_LAND = "xtreme_dag.results.landing:land"
_REPORT = "xtreme_dag.report.html:write_report"


def report_path(home: Home, study: Study) -> Path:
    """Where a study's report is kept."""
    return home.reports / f"{study.study}.html"


def publication(study: Study, artifacts: Mapping[str, tuple[str, str]], keys: Keys) -> str:
    """Identity of what is to be published: the study, its stages (name -> key and digest), and the code that does it."""
    code = {function: keys.code_digest(function) for function in (_LAND, _REPORT)}
    return sha256_of(
        {
            "study": study.model_dump(mode="json"),
            "stages": {name: list(pair) for name, pair in artifacts.items()},
            "code": code,
        }
    )


def is_published(home: Home, study: Study, identity: str) -> bool:
    """Whether the database and the report already say this."""
    try:
        stamp = json.loads(_stamp(home, study.study).read_text())
        return bool(stamp["identity"] == identity and home.results.is_file() and report_path(home, study).is_file())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def land_study(home: Home, study: Study, built: Built, done: Mapping[str, str]) -> None:
    """Lands every evaluation that is done (stage name -> key), and what was imported; other studies' rows stay."""
    from xtreme_dag.results.imports import landing_turn, with_imports
    from xtreme_dag.results.landing import land

    store = Store(home.store)
    evaluations, contracts = [], []
    stages: dict[str, StageFacts] = {}
    for stage in built.graph:
        record = store.intact(done[stage.name]) if stage.name in done else None
        if record is None:
            continue
        # Two names of one key (conditions that differ in name only) are one stage.
        stages.setdefault(record.key, stage_facts(stage, record))
        if stage.kind == "evaluate":
            evaluations.append(evaluation(stage, record, home))
        elif stage.kind == "check":
            contracts.append(contract_outcome(stage, record, home))
    facts = study_facts(study, (task.name for task in built.tasks))
    with landing_turn(home, study.study):
        facts, evaluations, landed = with_imports(home, facts, evaluations, stages.values())
        land(home.root, facts, evaluations, contracts, landed)


def write_study_report(home: Home, study: Study) -> tuple[Path, Short]:
    """Writes the study's report beside the database; returns the file, and the report in short."""
    from xtreme_dag.report.content import read_content
    from xtreme_dag.report.html import write_page
    from xtreme_dag.report.short import short_form

    content = read_content(home.root, study.study)
    return write_page(content, report_path(home, study)), short_form(content)


def mark_published(home: Home, study: Study, identity: str) -> None:
    """Remembers what was published, so that a run with nothing to do touches nothing."""
    write_atomically(_stamp(home, study.study), json.dumps({"identity": identity}))


def forget_published(home: Home, study: str) -> None:
    """Lets the next run of a study land and report again: its results have changed under it."""
    _stamp(home, study).unlink(missing_ok=True)


def _stamp(home: Home, study: str) -> Path:
    return home.caches / f"published-{study}.json"
