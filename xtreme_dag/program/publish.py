"""What follows the stages of a run: land their results in the database and write the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from xtreme_dag.contracts.shared import Shared
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.engine import damage
from xtreme_dag.engine.execute import Executor
from xtreme_dag.engine.graph import Graph
from xtreme_dag.engine.reads import Reads
from xtreme_dag.engine.store import Store
from xtreme_dag.results.collect import (
    contract_outcome,
    curve_facts,
    evaluation,
    overlaps,
    stage_facts,
    study_facts,
    table_facts,
    training_facts,
    trial_facts,
)
from xtreme_dag.results.facts import CurveFacts, StageFacts, TableFacts, TrainingFacts, TrialFacts
from xtreme_dag.results.stamp import is_published, publication, report_path
from xtreme_dag.study.file import Study
from xtreme_dag.wiring.build import Built
from xtreme_dag.wiring.kinds import EVALUATE
from xtreme_dag.wiring.supervision import supervision

if TYPE_CHECKING:
    from xtreme_dag.report.short import Short

# What the artifacts of stages say of themselves, beside tables and weights.
_SAID = {"counts.json", "encode.json", "training.json", "choice.json"}


def to_publish(executor: Executor, study: Study, graph: Graph) -> str:
    """Identity of what a run has to land and report; empty if it evaluated nothing, or the database says all of it."""
    if not any(graph[name].of is EVALUATE for name in executor.known):
        return ""
    artifacts = {name: (key, record.digest) for name, key in executor.known.items() if (record := executor.record(key))}
    identity = publication(study, artifacts, executor.keys)
    return "" if is_published(executor.home, study, identity) else identity


def land_study(home: Home, study: Study, built: Built, done: Mapping[str, str]) -> None:
    """Lands every evaluation that is done (stage name -> key), and what was imported; other studies' rows stay."""
    from xtreme_dag.results.imports import landing_turn, with_imports
    from xtreme_dag.results.landing import land

    store = Store(home.store)
    reads = Reads(store, home.caches)
    evaluations, contracts = [], []
    found: list[Shared] = []
    tables: list[TableFacts] = []
    trained: list[TrainingFacts] = []
    curves: list[CurveFacts] = []
    trials: list[TrialFacts] = []
    trained_in = supervision(built.graph)
    stages: dict[str, StageFacts] = {}
    for stage in built.graph:
        record = store.standing(done[stage.name]) if stage.name in done else None
        if record is None:
            continue
        parts = [""] if stage.kind in ("evaluate", "check", "audit") else [*_SAID & record.files.keys()]
        if bad := [name for part in parts for name in reads.damaged(record, part)]:
            damage.set_aside(store, record, bad)
            raise UserError(f"{', '.join(bad)} damaged, set aside", where=stage.name, fix="run again: it is made anew")
        # Stages with one key (conditions that differ in name only) are landed once.
        stages.setdefault(record.key, stage_facts(stage, record, home))
        if stage.kind == "evaluate":
            evaluations.append(evaluation(stage, record, home, trained_in[stage.name]))
        elif stage.kind == "check":
            contracts.append(contract_outcome(stage, record, home))
        elif stage.kind == "audit":
            found += overlaps(stage, record, home)
        elif stage.kind == "prepare" and "reader" in stage.params:  # not the texts that are made of a table
            tables.append(table_facts(stage, record, home, built.stand_ins))
        elif stage.kind == "choose":
            trials += trial_facts(stage, record, home)
        elif stage.kind in ("pretrain", "intermediate", "target"):
            curves += curve_facts(stage, record, home)
            trained += training_facts(stage, record, home) if stage.kind != "pretrain" else []
    facts = replace(
        study_facts(study, (task.name for task in built.tasks)),
        tables=tuple(tables),
        trained=tuple(trained),
        curves=tuple(curves),
        trials=tuple(trials),
    )
    with landing_turn(home, study.study):
        facts, evaluations, landed = with_imports(home, facts, evaluations, stages.values())
        land(home, facts, evaluations, contracts, landed, found)


def write_study_report(home: Home, study: Study) -> tuple[Path, Short]:
    """Writes the study's report beside the database; returns the file, and the report in short."""
    from xtreme_dag.report.content import read_content
    from xtreme_dag.report.html import write_page
    from xtreme_dag.report.short import short_form

    content = read_content(home, study.study)
    return write_page(content, report_path(home, study)), short_form(content)
