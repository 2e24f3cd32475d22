"""Judge incoming predictions file by file, and keep each verdict as an artifact with a key of its own."""

from __future__ import annotations

import resource
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.core.errors import UserError
from xtreme_dag.core.home import Home
from xtreme_dag.core.locks import locked
from xtreme_dag.engine.digests import file_digest
from xtreme_dag.engine.graph import Kind, Stage
from xtreme_dag.engine.keys import Keys
from xtreme_dag.engine.provenance import manifest
from xtreme_dag.engine.store import Record, Store
from xtreme_dag.results.facts import Evaluation
from xtreme_dag.results.imports import KIND
from xtreme_dag.scoring.columns import figures, metric_at
from xtreme_dag.scoring.combine import FAMILIES
from xtreme_dag.submissions.export import SPLIT, Tables, write_known_labels
from xtreme_dag.submissions.folder import Cell, folder_tasks
from xtreme_dag.submissions.read import read_submission
from xtreme_dag.tables.predictions import write_json, write_parquet

_JUDGE = "xtreme_dag.submissions.read:read_submission"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The rows of one file, and what they were judged by: name -> digest."""

    rows: pa.Table
    inputs: Mapping[str, str]


def judge(
    folder: Path, labels: Path | None, tables: Tables, files: Mapping[Cell, str], benchmark: str
) -> tuple[dict[Cell, Judged], list[str]]:
    """The rows of every file that has a table and labels, and warnings."""
    with tempfile.TemporaryDirectory() as scratch:
        side = Path(scratch)
        if labels is None:
            warnings = write_known_labels(tables, side)
        else:
            warnings = _link_labels(labels, tables, files, side)
        digests = {cell: file_digest(side / files[cell]) for cell in tables if (side / files[cell]).is_file()}
        if not any(side.glob("*/*")):
            raise UserError("nothing to import: nothing has labels", where=str(folder), fix="; ".join(warnings[:2]))
        shown = str(labels or "labels of the study")
        try:
            read, told = read_submission(folder, side, benchmark=benchmark, canonical=tables)
        except UserError as error:
            what, where = (text.replace(scratch, shown) for text in (error.what, error.where))
            raise UserError(what, where=where, fix=error.fix) from None
    prefixes = tuple(f"{'/'.join(cell)}: " for cell in read)
    warnings += [text.replace(scratch, shown) for text in told if text.startswith(prefixes)]
    judged = {}
    for cell, rows in read.items():
        inputs = {"table": tables.paths[cell].name, "predictions": file_digest(folder / files[cell])}
        judged[cell] = Judged(rows=rows, inputs={**inputs, "labels": digests[cell]})
    return judged, warnings


def _link_labels(labels: Path, tables: Iterable[Cell], files: Mapping[Cell, str], side: Path) -> list[str]:
    """Puts links to the label files of the study's tables into a folder; says in words which lack."""
    warnings: list[str] = []
    for cell in tables:
        path = labels / files[cell]
        if not path.is_file():
            warnings.append(f"{'/'.join(cell)}: no labels, there is no {path}")
            continue
        (side / cell[0]).mkdir(exist_ok=True)
        (side / files[cell]).symlink_to(path.absolute())
    return warnings


def scores_of(rows: pa.Table, cell: Cell, benchmark: str) -> dict[str, Any]:
    """What `scores.json` of an evaluation says."""
    task = folder_tasks(benchmark)[cell[0]]
    columns = {name: rows[name].to_numpy() for name in rows.column_names if name.startswith("s_")}
    return {
        "task": cell[0],
        "language": cell[1],
        "split": SPLIT,
        "n": rows.num_rows,
        "metrics": figures([*FAMILIES[task.family].metrics, *map(metric_at, task.metrics)], columns),
        "primary": load_catalogue().task(cell[0]).metric,
        "benchmark": benchmark,
    }


def commit(
    home: Home, study: str, label: str, part: Judged, scores: Mapping[str, Any], keys: Keys
) -> tuple[Stage, Record]:
    """Makes an artifact of an evaluation, unless the store has it; its key depends on table, predictions and judge."""
    params = {name: scores[name] for name in ("task", "language", "split", "benchmark")}
    task = folder_tasks(scores["benchmark"])[scores["task"]]
    judges: list[Callable[..., Any]] = [task.judge, *filter(None, [task.layout.identify])]
    stage = Stage(
        of=Kind(name=KIND, libraries=("numpy", "pyarrow")),
        name=f"{KIND}[{label}]",
        function=_JUDGE,
        params=params,
        code=(*task.metrics, *(f"{one.__module__}:{one.__qualname__}" for one in judges)),
    )
    store, started = Store(home.ensure().store), datetime.now(UTC)
    key = keys.key(stage, part.inputs)
    work = home.work / key
    with locked(store.lock_path(key), stage.name):
        record = store.intact(key)
        if record is not None:
            return stage, record
        shutil.rmtree(work, ignore_errors=True)
        (work / "out").mkdir(parents=True)
        write_parquet(part.rows, work / "out" / "predictions.parquet")
        write_json({name: value for name, value in scores.items() if name != "benchmark"}, work / "out" / "scores.json")
        code, names = keys.code(*stage.roots)
        store.keep_code(code, names)
        answer = {
            "figures": {"examples": scores["n"]},
            "seconds": (datetime.now(UTC) - started).total_seconds(),
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        made = manifest(
            stage,
            study=study,
            identity=keys.identity(stage, part.inputs),
            inputs={name: {"digest": digest} for name, digest in part.inputs.items()},
            options={},
            started=started,
            answer=answer,
        )
        record = store.commit(key, work / "out", made)
        shutil.rmtree(work, ignore_errors=True)
    return stage, record


def evaluation(home: Home, record: Record, scores: Mapping[str, Any], condition: str, seed: int) -> Evaluation:
    """An evaluation of a study, of what has been committed."""
    return Evaluation(
        stage_key=record.key,
        condition=condition,
        task=scores["task"],
        language=scores["language"],
        split=scores["split"],
        seed=seed,
        primary=scores["primary"],
        artifact=Store(home.store).artifact(record.digest).relative_to(home.root),
        digest=record.digest,
    )
