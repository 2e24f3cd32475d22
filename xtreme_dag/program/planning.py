"""Planning a study: what a run would do, and why, and all that can be foreseen of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from xtreme_dag.core.durations import duration
from xtreme_dag.core.home import Home
from xtreme_dag.engine.mirror import Mirror
from xtreme_dag.engine.plan import CACHED, Plan, Planned, Planner, matching
from xtreme_dag.engine.store import Store
from xtreme_dag.program.makers import maker_lines
from xtreme_dag.program.model_check import looked_over
from xtreme_dag.program.output import Answer, table
from xtreme_dag.program.troubles import troubles
from xtreme_dag.results.stamp import is_published, publication
from xtreme_dag.study.file import Study, load_study
from xtreme_dag.wiring.build import Built, build
from xtreme_dag.wiring.forecast.caveats import lost_lines, no_answer_lines, too_few_lines, warnings
from xtreme_dag.wiring.forecast.claims import claims
from xtreme_dag.wiring.forecast.composition import condition_table
from xtreme_dag.wiring.forecast.costs import cost
from xtreme_dag.wiring.forecast.disk import disk
from xtreme_dag.wiring.forecast.overlapping import overlap_lines
from xtreme_dag.wiring.forecast.overview import (
    CONDITION_HEADS,
    condition_cells,
    grid_lines,
    missing_lines,
    seen_lines,
    stand_in_lines,
    with_absent,
)
from xtreme_dag.wiring.forecast.sizes import Sizes
from xtreme_dag.wiring.forecast.unanswered import unanswered
from xtreme_dag.wiring.supervision import by_condition, source_languages

_SHOWN = 40


def planned(
    home: Home,
    study_file: Path,
    overrides: tuple[str, ...],
    force: tuple[str, ...],
    *,
    everything: bool,
    with_power: bool,
    pilot: str | None,
    accuracy: float | None,
    seed_spread: float | None,
    mirror: str | None,
) -> Answer:
    """The answer of `xtreme-dag plan`, with its options as arguments."""
    study = load_study(study_file, overrides)
    built = build(study, absent=True)
    elsewhere = Mirror.find(mirror)
    plan, current = made(home, study, built, force, mirror=elsewhere)
    makers = list(maker_lines(plan, elsewhere))
    if elsewhere is not None and elsewhere.trouble:
        click.echo(f"warning: mirror {elsewhere.url}: {elsewhere.trouble}", err=True)
    found = [] if plan.all_cached else looked_over(home, built)
    plan = with_absent(plan, built.absent)
    sizes = Sizes(built.graph, plan, Store(home.store))
    rows = condition_table(study, built.graph, sizes)
    estimate, room = cost(study, built.graph, plan, sizes, rows), disk(study, built.graph, plan, sizes, home)
    supervision, baseline = by_condition(built.graph), study.compare.baseline
    cautions = [
        *warnings(study, rows),
        *no_answer_lines(baseline, supervision, source_languages(study, supervision)),
        *too_few_lines(built.graph, sizes),
        *lost_lines(built.graph, sizes),
        *overlap_lines(built.graph, sizes, study.data.allow_overlap),
        *unanswered(study, built),
    ]
    grids = list(grid_lines(built.graph))
    foreseen = None
    if with_power:
        from xtreme_dag.program.power import foresee

        asked = claims(study, built.graph, sizes)
        foreseen = foresee(home, study, asked, pilot, accuracy, seed_spread)
    return Answer(
        value={
            "stages": [_entry(planned) for planned in plan.stages],
            "summary": plan.summary(),
            "outputs_current": current,
            "made_elsewhere": makers,
            "missing": dict(built.absent),
            "grids": grids,
            "conditions": [row.to_json() for row in rows],
            "supervision": supervision,
            "warnings": cautions,
            "model": [vars(finding) for finding in found],
            "cost": vars(estimate),
            "disk": {**vars(room), "left": room.left},
            **({} if foreseen is None else {"power": foreseen.to_json()}),
        },
        text=[
            *_lines(plan, built, current, everything),
            *(f"note: {line}" for line in makers),
            "",
            table(CONDITION_HEADS, [condition_cells(row, baseline) for row in rows]),
            *seen_lines(supervision),
            *grids,
            *(f"warning: {line}" for line in cautions),
            *(f"{'error' if finding.fatal else 'warning'}: model: {finding}" for finding in found),
            *([] if plan.all_cached else [estimate.in_words()]),
            *room.lines(),
            *([] if foreseen is None else ["", *foreseen.lines()]),
        ],
        warnings=troubles(home),
        ok=not any(finding.fatal for finding in found),
    )


def made(
    home: Home,
    study: Study,
    built: Built,
    force: tuple[str, ...] = (),
    *,
    mirror: Mirror | None = None,
    remember: bool = False,
) -> tuple[Plan, bool]:
    """The plan of a study, and whether its database rows and report are up to date.

    Args:
        home: where the store and the ledger are.
        study: the study.
        built: its stages.
        force: patterns of stages that count as not cached.
        mirror: where else artifacts may be.
        remember: write what was learnt about code and raw files to the caches.
    """
    forced = frozenset(matching(built.graph, force)) if force else frozenset()
    planner = Planner(home, study.study, forced=forced, mirror=mirror)
    plan = planner.plan(built.graph)
    current = plan.all_cached and _is_current(home, study, planner, plan)
    if remember:
        planner.keys.save()
        planner.sources.save()
    return plan, current


def _is_current(home: Home, study: Study, planner: Planner, plan: Plan) -> bool:
    artifacts = {planned.stage.name: (planned.key, planned.digest) for planned in plan.stages}
    return is_published(home, study, publication(study, artifacts, planner.keys))


def _entry(planned: Planned) -> dict[str, object]:
    return {
        "key": planned.key,
        "kind": planned.stage.kind,
        "name": planned.stage.name,
        "status": planned.status,
        "reasons": list(planned.reasons),
        "expected_seconds": planned.expected_seconds,
        "maker": planned.maker,
    }


def _lines(plan: Plan, built: Built, current: bool, everything: bool) -> Iterator[str]:
    # What is missing has a line for each dataset below: a table each would hide the rest.
    shown = [
        planned
        for planned in plan.stages
        if everything or (planned.status != CACHED and planned.stage.name not in built.absent)
    ]
    for planned in shown if everything else shown[:_SHOWN]:
        reasons = "; ".join(planned.reasons[:3]) + (
            f"; and {len(planned.reasons) - 3} more" if len(planned.reasons) > 3 else ""
        )
        time = f"  ~{duration(planned.expected_seconds)}" if planned.expected_seconds is not None else ""
        yield f"{planned.status:8} {planned.stage.name}{f'  ({reasons})' if reasons else ''}{time}"
    if not everything and len(shown) > _SHOWN:
        kinds = Counter(planned.stage.kind for planned in shown[_SHOWN:])
        yield (
            f"... and {len(shown) - _SHOWN} more ({', '.join(f'{count} {kind}' for kind, count in kinds.items())}); --all lists them"
        )
    for line in stand_in_lines(built.stand_ins):
        yield f"note: {line}"
    for task, languages in built.missing.items() if not built.absent else ():
        yield f"note: {task}: the source lacks {' '.join(languages)}"
    for note in built.notes:
        yield f"note: {note}"
    if built.absent:
        for line in missing_lines(built.absent, built.graph):
            yield line
        yield f"missing: {len(built.absent)} tables and models; nothing runs until they are there"
    known = [
        planned.expected_seconds
        for planned in plan.stages
        if planned.status != CACHED and planned.expected_seconds is not None
    ]
    counts = ", ".join(f"{count} {status}" for status, count in plan.summary().items())
    work = f"; about {duration(sum(known))} of work, from earlier runs" if known else ""
    yield f"{len(plan.stages)} stages: {counts}{work}"
    if plan.all_cached:
        yield "results and report are up to date" if current else "results and report will be written again"
