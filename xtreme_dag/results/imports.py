"""What was imported into a study, kept beside its landing so that every later landing has it too.

`landings/imports/<study>/<condition>.json` holds one condition with its evaluations and stages, in the form of a
landing. Deleting the file undoes the import when the study next lands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from xtreme_dag.core.home import Home
from xtreme_dag.core.locks import locked
from xtreme_dag.engine.store import Store
from xtreme_dag.results.facts import Condition, Evaluation, StageFacts, StudyFacts
from xtreme_dag.results.landed import Landing
from xtreme_dag.results.signals import signals_of

KIND = "import"
MARK = "imported"


def import_path(home: Home, study: str, condition: str) -> Path:
    """Where an imported condition is kept."""
    return home.landings / "imports" / quote(study, safe=" ") / f"{quote(condition, safe=' ')}.json"


@contextmanager
def landing_turn(home: Home, study: str) -> Iterator[None]:
    """One landing or import of a study at a time, from reading what there is to landing it; others wait."""
    with locked(Store(home.store).lock_path(f"landing-{quote(study, safe=' ')}"), f"landing of {study}"):
        yield


def read_imports(home: Home, study: str) -> list[Landing]:
    """The imports of a study by name, each a landing of one condition.

    Raises:
        UserError: one of them cannot be read.
    """
    return [_read(path) for path in sorted(import_path(home, study, "x").parent.glob("*.json"))]


def earlier(home: Home, study: str, condition: str) -> Landing | None:
    """What was imported under a name before; None if nothing was."""
    path = import_path(home, study, condition)
    return _read(path) if path.is_file() else None


def keep(home: Home, imported: Landing) -> None:
    """Keeps an import; one of the same name is replaced."""
    imported.save(import_path(home, imported.study.name, imported.study.conditions[0].name))


def is_imported(condition: Condition) -> bool:
    """Whether a condition of a landing was imported."""
    return MARK in condition.description


def without_imports(landing: Landing) -> Landing:
    """A landing with the study's own conditions, evaluations and stages only."""
    own = tuple(condition for condition in landing.study.conditions if not is_imported(condition))
    names = {condition.name for condition in own}
    return replace(
        landing,
        study=replace(landing.study, conditions=own),
        evaluations=tuple(row for row in landing.evaluations if row.condition in names),
        stages=tuple(stage for stage in landing.stages if stage.kind != KIND),
    )


def with_imports(
    home: Home, study: StudyFacts, evaluations: Sequence[Evaluation], stages: Iterable[StageFacts]
) -> tuple[StudyFacts, list[Evaluation], list[StageFacts]]:
    """What a study lands, and what was imported into it.

    A condition of the study has precedence over an import of the same name. An evaluation whose artifact is damaged or
    gone is left out until it is imported again. What is to be doubted in them is looked for at each landing, so that
    imports that were kept by an earlier version have it too.
    """
    store = Store(home.store)
    conditions, rows = list(study.conditions), list(evaluations)
    known = {stage.key: stage for stage in stages}
    own = {condition.name for condition in conditions}
    texts = {(row.task, row.language, row.split): row.texts for row in evaluations}
    for imported in read_imports(home, study.name):
        condition = imported.study.conditions[0]
        if condition.name in own:
            continue
        there = {row.stage_key: store.intact(row.stage_key) for row in imported.evaluations}
        signals = {
            key: signals_of(store.artifact(record.digest)) for key, record in there.items() if record is not None
        }
        whole = [row for row in imported.evaluations if row.stage_key in signals]
        conditions.append(condition)
        rows += [replace(row, texts=texts.get((row.task, row.language, row.split))) for row in whole]
        known |= {
            stage.key: replace(stage, warnings=signals[stage.key]) for stage in imported.stages if stage.key in signals
        }
    return replace(study, conditions=tuple(conditions)), rows, list(known.values())


def _read(path: Path) -> Landing:
    return Landing.read(path, what="an import", fix="delete it and import again")
