"""Export the test predictions of one run of a study as a submission in the XTREME layout."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xtreme_dag import formats
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.home import Home
from xtreme_dag.engine.keys import library_version
from xtreme_dag.engine.store import Store
from xtreme_dag.results.facts import Evaluation, StageFacts
from xtreme_dag.results.landed import Landing
from xtreme_dag.results.landing import read_landings
from xtreme_dag.results.predictions import check_predictions
from xtreme_dag.results.reading import data_lines
from xtreme_dag.study.data_settings import Limits
from xtreme_dag.submissions.folder import Cell, folder_files
from xtreme_dag.submissions.write import write_label_file, write_submission
from xtreme_dag.tables.canonical import read_table

SPLIT = "test"
_ROWS = "predictions.parquet"


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export wrote.

    Attributes:
        out: the folder.
        benchmark: whose layout it has.
        files: number of prediction files.
        examples: number of predictions in them.
        missing: files that the benchmark lists and the run does not have.
        left_out: `task/language` of evaluations that the benchmark does not list.
        warnings: what a reader of the scores should know.
    """

    out: Path
    benchmark: str
    files: int
    examples: int
    missing: tuple[str, ...]
    left_out: tuple[str, ...]
    warnings: tuple[str, ...]


class Tables(Mapping[Cell, pa.Table]):
    """Tables that are read when asked for, and not kept: a benchmark's tables need not fit in memory together.

    Attributes:
        paths: task and language -> where the table is.
    """

    def __init__(self, paths: Mapping[Cell, Path], read: Callable[[Cell], pa.Table]) -> None:
        self.paths = paths
        self._read = read

    def __getitem__(self, cell: Cell) -> pa.Table:
        path = self.paths[cell]
        try:
            return self._read(cell)
        except (OSError, pa.ArrowInvalid):
            raise UserError(
                f"{path.name} is gone or damaged",
                where="/".join(cell),
                fix="`xtreme-dag verify`, then run or import again",
            ) from None

    def __contains__(self, cell: object) -> bool:
        return cell in self.paths

    def __iter__(self) -> Iterator[Cell]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)


def export_submission(
    home: Home,
    out: Path,
    *,
    study: str,
    condition: str,
    seed: int,
    benchmark: str | None = None,
    labels: Path | None = None,
) -> Exported:
    """Writes the test predictions of one run in the XTREME layout; the folder appears whole or not at all.

    Args:
        home: where the study landed.
        out: a folder that does not exist or is empty.
        study, condition, seed: the run.
        benchmark: `xtreme` or `xtreme-r`; the study's own by default.
        labels: also write the labels of the test tables here, as `xtreme-dag score` reads them.

    Raises:
        UserError: unknown names, nothing that the benchmark lists, artifacts that are gone, or a folder that holds
            something or cannot be written.
    """
    landing = landed(home, study)
    runs = _runs(landing, condition, seed)
    benchmark = benchmark or benchmark_of(landing)
    listed = folder_files(benchmark)
    cells = {cell: row for cell, row in runs.items() if cell in listed}
    if not cells:
        raise UserError(
            f"nothing to export: {benchmark} does not list {', '.join('/'.join(cell) for cell in list(runs)[:3])}",
            where=f"study {study}",
            fix="the layout is for the benchmark's own tasks and languages; is it another --benchmark?",
        )
    check_predictions(home, (home.root / row.artifact / _ROWS for row in cells.values()))
    tables = test_tables(home, landing, cells.values())
    predictions = _predictions(home, cells)
    warnings = _limits(landing, cells)
    with ExitStack() as stack:
        # Both folders are looked at before either is written.
        folder = stack.enter_context(_whole(out))
        if labels is not None:
            warnings += write_known_labels(tables, stack.enter_context(_whole(labels)))
        metadata = _metadata(landing, condition, seed, cells)
        missing = write_submission(predictions, folder, metadata, canonical=tables, benchmark=benchmark)
    return Exported(
        out=out,
        benchmark=benchmark,
        files=len(cells),
        examples=sum(pq.read_metadata(home.root / row.artifact / _ROWS).num_rows for row in cells.values()),
        missing=tuple(missing),
        left_out=tuple("/".join(cell) for cell in runs if cell not in listed),
        warnings=tuple(warnings),
    )


def landed(home: Home, study: str) -> Landing:
    """What a study landed.

    Raises:
        UserError: no such study has landed.
    """
    known = {landing.study.name: landing for landing in read_landings(home)}
    if not known:
        raise UserError("has no results yet", where=f"home {home.root}", fix="run a study first: `xtreme-dag demo`")
    if study not in known:
        raise UserError(f"no study {study!r} has landed", where="--study", fix=nearest(study, known))
    return known[study]


def benchmark_of(landing: Landing) -> str:
    """The benchmark that a study was made for."""
    return str(landing.study.recipe.get("benchmark") or "xtreme-r")


def test_tables(home: Home, landing: Landing, rows: Iterable[Evaluation]) -> Tables:
    """The canonical tables that evaluations were made from, by the lineage that landed.

    A table knows the right candidates of its own language. Where the candidates of all languages are pooled, they are
    replaced by those that the evaluation counted, of all languages.
    """
    store = Store(Home(Path(landing.origin)).store if landing.origin else home.store)
    stages, catalogue = _stages(landing), load_catalogue()
    paths, pooled = {}, {}
    for row in rows:
        cell = (row.task, row.language)
        paths[cell] = store.artifact(stages[row.stage_key].inputs["table"])
        sides = formats.get(catalogue.dataset(catalogue.task(row.task).test.dataset).format).sides
        if sides is not None and sides.pooled:
            pooled[cell] = home.root / row.artifact / _ROWS

    def read(cell: Cell) -> pa.Table:
        table = read_table(paths[cell])
        return _with_gold(table, pooled[cell]) if cell in pooled else table

    return Tables(paths, read)


def write_known_labels(tables: Tables, folder: Path) -> list[str]:
    """Writes the labels of the tables that have them into a folder; says in words which have not."""
    warnings = []
    for cell in tables:
        table = tables[cell]
        try:
            write_label_file(cell, table, folder)
        except UserError as error:
            warnings.append(f"{'/'.join(cell)}: no labels, {error.what}")
    return warnings


def _runs(landing: Landing, condition: str, seed: int) -> dict[Cell, Evaluation]:
    """The test evaluations of one run.

    Raises:
        UserError: an unknown condition or seed.
    """
    where = f"study {landing.study.name}"
    tested = [row for row in landing.evaluations if row.split == SPLIT]
    names = {row.condition for row in tested}
    if condition not in names:
        raise UserError(f"no condition {condition!r} with test predictions", where=where, fix=nearest(condition, names))
    seeds = {row.seed for row in tested if row.condition == condition}
    if seed not in seeds:
        valid = ", ".join(map(str, sorted(seeds)))
        raise UserError(f"condition {condition!r} has no seed {seed}", where=where, fix=f"valid: {valid}")
    rows = {(row.task, row.language): row for row in tested if (row.condition, row.seed) == (condition, seed)}
    return dict(sorted(rows.items()))


def _stages(landing: Landing) -> dict[str, StageFacts]:
    return {stage.key: stage for stage in landing.stages}


def _with_gold(table: pa.Table, rows: Path) -> pa.Table:
    """The table with the gold sets of an evaluation's rows."""
    counted = pq.ParquetFile(rows).read(["id", "gold"])
    right = dict(zip(counted["id"].to_pylist(), (gold.split() for gold in counted["gold"].to_pylist()), strict=True))
    names, own = (table[name].to_pylist() for name in ("id", "gold"))
    gold = [right.get(name, known) for name, known in zip(names, own, strict=True)]
    place = table.column_names.index("gold")
    return table.set_column(place, table.schema.field(place), pa.array(gold, table.schema.field(place).type))


def _predictions(home: Home, cells: Mapping[Cell, Evaluation]) -> Tables:
    """Rows of `predictions.parquet`, and `candidates`: what stands in `prediction`, taken apart at its blanks."""
    paths = {cell: home.root / row.artifact / _ROWS for cell, row in cells.items()}

    def read(cell: Cell) -> pa.Table:
        # Not the dataset reader: it would take the folders of the store for partitions.
        table = pq.ParquetFile(paths[cell]).read()
        ranked = [(names or "").split() for names in table["prediction"].to_pylist()]
        return table.append_column("candidates", pa.array(ranked, pa.list_(pa.string())))

    return Tables(paths, read)


def _metadata(landing: Landing, condition: str, seed: int, cells: Mapping[Cell, Evaluation]) -> dict[str, Any]:
    """What the submission is: the run, and for each file the keys and digests that it can be traced by."""
    stages, recipe = _stages(landing), landing.study.recipe
    used = [stages[row.stage_key] for row in cells.values()]
    versions: dict[str, set[str]] = {"xtreme-dag": {library_version("xtreme-dag")}}
    for stage in used:
        for name, version in stage.libraries.items():
            versions.setdefault(name, set()).add(version)
    described = {row.name: row.description for row in landing.study.conditions}
    return {
        "study": landing.study.name,
        "question": landing.study.question,
        "condition": condition,
        "seed": seed,
        "intermediate": described[condition],
        "model": recipe.get("model"),
        "recipe": recipe.get("recipe"),
        "limit": _limit_of(landing),
        "data": data_lines(landing.study.tables),
        "versions": {name: ", ".join(sorted(found)) for name, found in sorted(versions.items())},
        "git_commits": sorted({stage.git_commit for stage in used if stage.git_commit}),
        "evaluations": {
            "/".join(cell): {
                "key": row.stage_key,
                "digest": row.digest,
                "code": stages[row.stage_key].fingerprint,
                "inputs": dict(stages[row.stage_key].inputs),
            }
            for cell, row in cells.items()
        },
    }


def _limit_of(landing: Landing) -> dict[str, Any]:
    limit = (landing.study.recipe.get("data") or {}).get("limit") or {}
    return {name: cap for name, cap in limit.items() if cap}


def _limits(landing: Landing, cells: Mapping[Cell, Evaluation]) -> list[str]:
    """Which tasks have not all of their test rows, because the study capped them."""
    limits, catalogue = Limits.model_validate(_limit_of(landing)), load_catalogue()
    caps = {task: limits.of(catalogue.task(task).test.dataset, "test", SPLIT) for task, _ in cells}
    return [f"{task}: the study took at most {cap} test rows a language" for task, cap in sorted(caps.items()) if cap]


@contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """A folder to write in, whose content appears in `out` when all of it is there.

    Raises:
        UserError: `out` holds something, or it cannot be written.
    """
    out = out.absolute()
    scratch = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UserError("is there already and not an empty folder", where=str(out), fix="name a new folder")
        scratch.mkdir(parents=True)
        yield scratch
        if not out.exists():
            scratch.rename(out)
        else:
            for entry in sorted(scratch.iterdir()):
                entry.rename(out / entry.name)
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror})", where=str(out), fix="name another folder") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
