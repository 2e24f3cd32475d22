"""Landing: writes the results of a run into the database, completely or not at all; a second time changes nothing."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace as with_changes
from pathlib import Path

import duckdb

from xtreme_dag.contracts.shared import Shared
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.files import sha256_of
from xtreme_dag.core.home import Home
from xtreme_dag.results import database as files
from xtreme_dag.results.facts import ContractOutcome, Evaluation, LandingReport, StageFacts, StudyFacts
from xtreme_dag.results.known import described
from xtreme_dag.results.landed import Landing
from xtreme_dag.results.rows import cell_of, replace_study, rows_of
from xtreme_dag.results.stamp import landing_path
from xtreme_dag.results.views import refresh


def land(
    home: Home,
    study: StudyFacts,
    evaluations: Sequence[Evaluation],
    contracts: Sequence[ContractOutcome],
    stages: Sequence[StageFacts],
    overlaps: Sequence[Shared] = (),
) -> LandingReport:
    """Lands a study: its rows replace those of its last landing; everything else stays.

    Once a copy of the database has taken it, the landing itself is kept as `landings/<study>.json`, so that `rebuild` has
    all it needs; then the copy takes the database's place. What the database refuses leaves both as they were. If the
    database already says all of it and the landing is kept, neither is touched.

    Args:
        home: the folder in which all state lives.
        study: the study.
        evaluations: its evaluations; their artifacts are in the store.
        contracts: outcomes of the data contracts of the run.
        stages: all stages of the run, with their costs and inputs.
        overlaps: what tables that are trained or selected on have of those that are tested.

    Raises:
        UserError: scores cannot be read, an evaluation's cell occurs twice or names an unknown condition, or
            another process does not let go of the database.
    """
    landing = Landing(
        study=study,
        evaluations=tuple(_relative(home.root, evaluation) for evaluation in evaluations),
        contracts=tuple(contracts),
        stages=tuple(stages),
        overlaps=tuple(overlaps),
    )
    _check(landing)
    with files.locked(home.results):
        landing = with_changes(landing, study=described(landing), history=_history(home, landing))
        return _write(home, [landing], save=True)[0]


def rebuild(home: Home, landings: Iterable[Landing] | None = None) -> list[LandingReport]:
    """Makes the database again from the landings and the artifacts alone; the same rows as before.

    Args:
        home: the folder in which all state lives.
        landings: what to build from; by default all of `landings/*.json`.
    """
    with files.locked(home.results):
        chosen = list(landings) if landings is not None else read_landings(home)
        return _write(home, chosen, save=False, fresh=True)


def upgrade(home: Home) -> None:
    """Brings the database to this package's version (migrations, views, published numbers), or makes it anew."""
    with files.locked(home.results):
        _write(home, [], save=False)


def add(home: Home, other: Path, *, label: str | None = None) -> list[LandingReport]:
    """Lands the studies of another home (another machine's store) into this one's database.

    Args:
        home: the home that receives.
        other: the home that is read; its artifacts stay where they are.
        label: put before the names of its studies (`label:name`); needed where a study of the same name exists.

    Raises:
        UserError: the other home has no landings, or a study of the same name is already here.
    """
    source = other.resolve()
    found = read_landings(Home(source))
    if not found:
        raise UserError("has no landings", where=str(source), fix="name the home of a machine that ran a study")
    incoming = []
    for landing in found:
        name = f"{label}:{landing.study.name}" if label else landing.study.name
        incoming.append(
            with_changes(
                landing,
                study=with_changes(landing.study, name=name),
                evaluations=tuple(_relative(home.root, _absolute(source, row)) for row in landing.evaluations),
                origin=source.as_posix(),
            )
        )
    with files.locked(home.results):
        here = {landing.study.name: landing.origin for landing in read_landings(home)}
        for landing in incoming:
            if here.get(landing.study.name, landing.origin) != landing.origin:
                raise UserError(
                    f"a study {landing.study.name!r} is already here", where=str(home.root), fix="give it a --label"
                )
        return _write(home, incoming, save=True)


def read_landings(home: Home) -> list[Landing]:
    """The landings that are kept beside the store, by name of the study.

    Raises:
        UserError: one of them cannot be read.
    """
    found = [_read_landing(path) for path in home.landings.glob("*.json")]
    return sorted(found, key=lambda landing: landing.study.name)


def _read_landing(path: Path) -> Landing:
    return Landing.read(path, what="a landing", fix="delete it and run its study again")


def _write(home: Home, landings: Sequence[Landing], *, save: bool, fresh: bool = False) -> list[LandingReport]:
    """Writes landings into the database, if they say anything new; the caller holds the lock.

    With `save`, one whose file is gone is new: the database would not be made again from all that it says.
    """
    path = home.results
    known = {} if fresh else _landed(path)
    if known is None:  # gone or unreadable: all that is kept is landed again
        if path.exists():
            print(f"warning: {path} is damaged: made again from the landings", file=sys.stderr)
        kept = {landing.study.name: landing for landing in read_landings(home)}
        landings = list((kept | {landing.study.name: landing for landing in landings}).values())
        known, fresh = {}, True
    digests = {landing.study.name: sha256_of(landing.to_json()) for landing in landings}
    new = {
        landing.study.name: rows_of(home, landing, digests[landing.study.name])
        for landing in landings
        if known.get(landing.study.name) != digests[landing.study.name]
        or (save and not landing_path(home, landing.study.name).is_file())
    }

    def change(connection: duckdb.DuckDBPyConnection) -> None:
        for study, tables in new.items():
            replace_study(connection, study, tables)
        refresh(connection, home)
        for landing in landings if save else ():
            if landing.study.name in new:
                landing.save(landing_path(home, landing.study.name))

    if new or fresh or not files.is_current(path):
        files.replace(path, change, start_from=None if fresh else path)
    if not landings:
        return []
    with files.reading(path) as connection:
        return [_report(connection, path, landing.study.name, landing.study.name in new) for landing in landings]


def _landed(path: Path) -> dict[str, str] | None:
    """Digest of the landing of each study in the database; None if there is none that can be read."""
    with files.whole(path) as connection:
        if connection is None:
            return None
        return dict(connection.execute("SELECT study, landing_digest FROM studies").fetchall())


def _history(home: Home, landing: Landing) -> tuple[StageFacts, ...]:
    """The stages of the study's earlier runs that this one no longer has, by key."""
    path = landing_path(home, landing.study.name)
    if not path.is_file():
        return ()
    before = _read_landing(path)
    now = {stage.key for stage in landing.stages}
    return tuple(
        sorted((s for s in (*before.history, *before.stages) if s.key not in now), key=lambda stage: stage.key)
    )


def _check(landing: Landing) -> None:
    names = [condition.name for condition in landing.study.conditions]
    where = f"study {landing.study.name!r}"
    if landing.study.baseline not in names:
        raise UserError(
            f"its baseline {landing.study.baseline!r} is not among its conditions",
            where=where,
            fix=nearest(landing.study.baseline, names),
        )
    cells = Counter(cell_of(evaluation) for evaluation in landing.evaluations)
    for cell, count in cells.items():
        if count > 1:
            raise UserError(f"{'/'.join(map(str, cell))} was evaluated {count} times", where=where)
        if cell[0] not in names:
            raise UserError(
                f"condition {cell[0]!r} is not one of its conditions", where=where, fix=nearest(cell[0], names)
            )


def _absolute(root: Path, evaluation: Evaluation) -> Evaluation:
    texts = root / evaluation.texts if evaluation.texts is not None else None
    return with_changes(evaluation, artifact=root / evaluation.artifact, texts=texts)


def _relative(root: Path, evaluation: Evaluation) -> Evaluation:
    """Paths inside the home relative to it, so that a home can be moved."""

    def inside(path: Path) -> Path:
        homes = (root.absolute(), root.resolve()) if path.is_absolute() else ()
        return next((path.relative_to(home) for home in homes if path.is_relative_to(home)), path)

    texts = inside(evaluation.texts) if evaluation.texts is not None else None
    return with_changes(evaluation, artifact=inside(evaluation.artifact), texts=texts)


def _report(connection: duckdb.DuckDBPyConnection, path: Path, study: str, changed: bool) -> LandingReport:
    counts = connection.execute(
        "SELECT (SELECT count(*) FROM evaluations WHERE study = $1), (SELECT count(*) FROM scores WHERE study = $1),"
        " (SELECT count(*) FROM stages WHERE study = $1 AND current)",
        [study],
    ).fetchall()[0]
    return LandingReport(
        study=study, changed=changed, evaluations=counts[0], scores=counts[1], stages=counts[2], database=path
    )
