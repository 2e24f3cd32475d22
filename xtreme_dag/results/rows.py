"""From a landing to the rows of the database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xtreme_dag.contracts.shared import Shared
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import canonical, read_json
from xtreme_dag.core.home import Home
from xtreme_dag.engine.store import Store
from xtreme_dag.results.facts import (
    ContractOutcome,
    CurveFacts,
    Evaluation,
    LanguageFacts,
    StageFacts,
    TableFacts,
    TrainingFacts,
    TrialFacts,
)
from xtreme_dag.results.landed import Landing

if TYPE_CHECKING:
    import duckdb

STUDY_TABLES = (
    "studies",
    "conditions",
    "languages",
    "tasks",
    "benchmark_languages",
    "stages",
    "stage_inputs",
    "condition_stages",
    "evaluations",
    "scores",
    "contracts",
    "stage_warnings",
    "evaluation_warnings",
    "shared_examples",
    "data_tables",
    "trained_on",
    "training_curves",
    "grid_trials",
)
Row = Mapping[str, Any]


def replace_study(connection: duckdb.DuckDBPyConnection, study: str, tables: Mapping[str, Sequence[Row]]) -> None:
    """Replaces all rows of a study by those of `rows_of`, in one transaction."""
    connection.execute("BEGIN")
    try:
        for table in STUDY_TABLES:
            connection.execute(f"DELETE FROM {table} WHERE study = ?", [study])
            insert(connection, table, tables[table])
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def rows_of(home: Home, landing: Landing, digest: str) -> dict[str, list[Row]]:
    """The rows of a landing by table, in an order that does not depend on the order of arrival.

    Raises:
        UserError: the scores of an evaluation cannot be read.
    """
    study = landing.study
    name = {"study": study.name}
    evaluations = sorted(landing.evaluations, key=cell_of)
    scored = [(evaluation, _read_scores(home.root / evaluation.artifact, evaluation)) for evaluation in evaluations]
    stages = [(stage, True) for stage in landing.stages] + [(stage, False) for stage in landing.history]
    stages.sort(key=lambda pair: pair[0].key)
    return {
        "studies": [
            name
            | {
                "question": study.question,
                "baseline": study.baseline,
                "source_language": study.source_language,
                "targets": list(study.targets),
                "seeds": list(study.seeds),
                "recipe": canonical(study.recipe),
                "origin": landing.origin,
                "landing_digest": digest,
            }
        ],
        "conditions": [
            name | {"condition": row.name, "position": position, "description": canonical(row.description)}
            for position, row in enumerate(study.conditions)
        ],
        "languages": [
            name | _fields(row, code="language") for row in sorted(study.languages, key=lambda row: row.code)
        ],
        "tasks": [
            name | {"task": row.name, "title": row.title, "group": row.group}
            for row in sorted(study.tasks, key=lambda row: row.name)
        ],
        "benchmark_languages": [
            name | {"benchmark": benchmark, "task": row.name, "language": language}
            for row in sorted(study.tasks, key=lambda row: row.name)
            for benchmark in sorted(row.benchmarks)
            for language in sorted(set(row.benchmarks[benchmark]))
        ],
        "stages": [name | _stage_row(stage, current) for stage, current in stages],
        "stage_inputs": [
            name | {"stage_key": stage.key, "input": label, "digest": stage.inputs[label]}
            for stage, _ in stages
            for label in sorted(stage.inputs)
        ],
        "condition_stages": [
            name | {"condition": condition, "stage_key": key}
            for condition, keys in sorted(lineages(evaluations, landing.stages).items())
            for key in sorted(keys)
        ],
        "evaluations": [
            name
            | _cell_row(evaluation)
            | {
                "metric": evaluation.primary,
                "n": scores["n"],
                "stage_key": evaluation.stage_key,
                "digest": evaluation.digest,
                "predictions": (evaluation.artifact / "predictions.parquet").as_posix(),
                "texts": evaluation.texts.as_posix() if evaluation.texts is not None else None,
            }
            for evaluation, scores in scored
        ],
        "scores": [
            name
            | _cell_row(evaluation)
            | {
                "metric": metric,
                "value": float(value),
                "is_primary": metric == evaluation.primary,
                "n": scores["n"],
                "stage_key": evaluation.stage_key,
                "supervision": evaluation.supervision or None,
            }
            for evaluation, scores in scored
            for metric, value in sorted(scores["metrics"].items())
        ],
        "contracts": [
            name | _fields(row) | {"violations": canonical(list(row.violations))}
            for row in sorted(landing.contracts, key=lambda row: (row.dataset, row.language, row.split))
        ],
        "stage_warnings": [
            name
            | {"stage_key": stage.key, "place": place, "warning": one.name}
            | {"message": one.message, "value": one.value, "bound": one.bound}
            for stage, _ in stages
            for place, one in enumerate(stage.warnings)
        ],
        "evaluation_warnings": [
            name | _cell_row(evaluation) | {"stage_key": stage.key, "warning": warning}
            for evaluation, behind in warned(evaluations, landing.stages)
            for stage in behind
            for warning in sorted({one.name for one in stage.warnings})
        ],
        "shared_examples": [
            name | _fields(row, by="ways") | {"ways": canonical(row.by), "first_ids": canonical(row.first_ids)}
            for row in sorted(landing.overlaps, key=lambda row: (row.seen, row.seen_for, row.tested))
        ],
        "data_tables": [
            name | _fields(row) for row in sorted(study.tables, key=lambda row: (row.dataset, row.split, row.language))
        ],
        "trained_on": [name | _fields(row) for row in sorted(study.trained, key=astuple)],
        "training_curves": [name | point for row in sorted(study.curves, key=astuple) for point in _points(row)],
        "grid_trials": [name | _fields(row) for row in sorted(study.trials, key=astuple)],
    }


def lineages(evaluations: Iterable[Evaluation], stages: Sequence[StageFacts]) -> dict[str, set[str]]:
    """For each condition the keys of all stages that its evaluations depend on, themselves included."""
    by_key, by_digest = _indexed(stages)
    found: dict[str, set[str]] = {}
    for evaluation in evaluations:
        _follow(evaluation.stage_key, by_key, by_digest, found.setdefault(evaluation.condition, set()))
    return found


def warned(
    evaluations: Sequence[Evaluation], stages: Sequence[StageFacts]
) -> list[tuple[Evaluation, list[StageFacts]]]:
    """The evaluations that depend on a stage with warnings, or have some themselves, each with those stages by name."""
    if not any(stage.warnings for stage in stages):
        return []
    by_key, by_digest = _indexed(stages)
    found = []
    for evaluation in evaluations:
        keys = _follow(evaluation.stage_key, by_key, by_digest, set())
        behind = sorted(
            (by_key[key] for key in keys if by_key[key].warnings), key=lambda stage: (stage.name, stage.key)
        )
        found += [(evaluation, behind)] if behind else []
    return found


def _indexed(stages: Sequence[StageFacts]) -> tuple[dict[str, StageFacts], dict[str, list[str]]]:
    """Key -> stage, and digest of an artifact -> keys of the stages that made it."""
    by_digest: dict[str, list[str]] = {}
    for stage in stages:
        by_digest.setdefault(stage.digest, []).append(stage.key)
    return {stage.key: stage for stage in stages}, by_digest


def _follow(key: str, by_key: Mapping[str, StageFacts], by_digest: Mapping[str, list[str]], seen: set[str]) -> set[str]:
    """Adds a stage's key and those of all that it depends on to `seen`."""
    waiting = [key]
    while waiting:
        key = waiting.pop()
        if key in by_key and key not in seen:
            seen.add(key)
            waiting += [up for digest in by_key[key].inputs.values() for up in by_digest.get(digest, ())]
    return seen


def cell_of(evaluation: Evaluation) -> tuple[str, str, str, str, int]:
    """What identifies an evaluation in its study: condition, task, language, split, seed."""
    return evaluation.condition, evaluation.task, evaluation.language, evaluation.split, evaluation.seed


def _cell_row(evaluation: Evaluation) -> dict[str, Any]:
    return dict(zip(("condition", "task", "language", "split", "seed"), cell_of(evaluation), strict=True))


def _stage_row(stage: StageFacts, current: bool) -> dict[str, Any]:
    row = _fields(stage, key="stage_key")
    del row["inputs"], row["warnings"]  # tables of their own
    return row | {
        "libraries": canonical(stage.libraries),
        "figures": canonical(stage.figures),
        "current": current,
    }


def _points(curve: CurveFacts) -> Iterator[dict[str, Any]]:
    """A curve, a row for each point."""
    row = _fields(curve)
    for at, value in zip(row.pop("at"), row.pop("values"), strict=True):
        yield row | {"optimizer_step": at, "value": value}


def _fields(
    facts: LanguageFacts | ContractOutcome | StageFacts | Shared | TableFacts | TrainingFacts | CurveFacts | TrialFacts,
    **columns: str,
) -> dict[str, Any]:
    """The fields of facts as a row; `columns` gives the columns that are named otherwise than their field."""
    return {columns.get(field.name, field.name): getattr(facts, field.name) for field in fields(facts)}


def _read_scores(artifact: Path, evaluation: Evaluation) -> dict[str, Any]:
    """The scores of an evaluation, held against its record where the store that has the artifact still has that."""
    artifact = artifact.absolute()  # the store's paths are compared with it
    path = artifact / "scores.json"
    where = f"{evaluation.task}/{evaluation.language}/{evaluation.split} of condition {evaluation.condition}"
    store = Store(artifact.parent.parent.parent)
    record = store.read(evaluation.stage_key)
    if record is not None and store.artifact(record.digest) == artifact and path.name in record.files:
        scores = store.said(record, path.name)
    else:
        scores = read_json(path, what="a mapping of scores", fix="`xtreme-dag verify`, then run the study again")
    if not isinstance(scores.get("metrics"), dict) or "n" not in scores:
        raise UserError("has no scores", where=str(path), fix="`xtreme-dag verify`, then run the study again")
    if scores["metrics"] and evaluation.primary not in scores["metrics"]:
        raise UserError(f"has no metric {evaluation.primary!r}, only {sorted(scores['metrics'])}", where=where)
    return scores


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Row]) -> None:
    """Inserts through Arrow; a column of nothing but nulls takes the type of the table."""
    if not rows:
        return
    import pyarrow as pa

    columns = {name: pa.array([row[name] for row in rows]) for name in rows[0]}
    connection.register("incoming", pa.table(columns))
    names = ", ".join(f'"{name}"' for name in columns)
    connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM incoming")
    connection.unregister("incoming")
