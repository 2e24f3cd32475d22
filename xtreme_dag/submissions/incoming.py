"""Import somebody else's predictions in the XTREME layout as a condition of a study."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.files import canonical, write_atomically
from xtreme_dag.core.home import Home
from xtreme_dag.engine.keys import Keys
from xtreme_dag.engine.ledger import DONE, Ledger
from xtreme_dag.formats.layout import read_json
from xtreme_dag.results.collect import stage_facts
from xtreme_dag.results.facts import Condition, Evaluation, StageFacts, StudyFacts
from xtreme_dag.results.imports import (
    KIND,
    MARK,
    earlier,
    import_path,
    is_imported,
    keep,
    landing_turn,
    with_imports,
    without_imports,
)
from xtreme_dag.results.landed import Landing
from xtreme_dag.results.landing import land
from xtreme_dag.results.stamp import forget_published
from xtreme_dag.study.sections import NAME
from xtreme_dag.submissions.export import SPLIT, benchmark_of, landed, test_tables
from xtreme_dag.submissions.folder import Cell, folder_files
from xtreme_dag.submissions.judged import commit, evaluation, judge, scores_of
from xtreme_dag.submissions.write import METADATA

_SUFFIXES = (".tsv", ".json", ".jsonl")
_TOO_MANY_TO_GUESS = 100  # predictions that are hardly all right unless they were made from the labels
_LISTS = ("evaluations", "files", "missing")


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import landed.

    Attributes:
        study: the study that has the condition now.
        condition: its name.
        benchmark: whose layout was read.
        seed: the seed that the predictions stand under.
        figures: `task/language` -> the task's primary metric, 0-100.
        missing: `task/language` that the study has and the submission has not.
        not_taken: files of the submission for which the study has no test table.
        warnings: what is wrong with the predictions.
    """

    study: str
    condition: str
    benchmark: str
    seed: int
    figures: Mapping[str, float]
    missing: tuple[str, ...]
    not_taken: tuple[str, ...]
    warnings: tuple[str, ...]


def import_submission(
    home: Home,
    folder: Path,
    *,
    study: str,
    name: str,
    labels: Path | None = None,
    benchmark: str | None = None,
    seed: int | None = None,
) -> Imported:
    """Lands predictions in the XTREME layout as a further condition of a study, over the study's test tables.

    The same name and seed again replace what was imported under them.

    Args:
        home: where the study landed.
        folder: `<task>/test-<language>.<suffix>`, and perhaps `metadata.json`.
        study: the study.
        name: the condition to be.
        labels: a folder of labels; by default they come from the study's test tables.
        benchmark: `xtreme` or `xtreme-r`; by default what `metadata.json` says, else the study's own.
        seed: what tells several runs of the same system apart; by default the seed in `metadata.json` if the study
            has it, else the study's first, so that the views that pair by seed show the condition.

    Raises:
        UserError: unknown names or files, nothing to import, or predictions that cannot be judged.
    """
    landing = landed(home, study)
    _check_name(landing, name)
    metadata = _read_metadata(folder)
    seed = _chosen_seed(landing, seed, metadata.get("seed"))
    told = metadata.get("benchmark")
    benchmark = benchmark or (str(told) if told in load_catalogue().benchmarks else benchmark_of(landing))
    files = folder_files(benchmark)
    _check_files(folder, files, benchmark)
    own = without_imports(landing)
    rows = {(row.task, row.language): row for row in own.evaluations if row.split == SPLIT}
    there = [cell for cell, path in files.items() if (folder / path).is_file()]
    if not any(cell in rows for cell in there):
        has = f"it has {', '.join(files[cell] for cell in there[:3])}" if there else "it has no file of the layout"
        wanted = ", ".join([files[cell] for cell in sorted(rows) if cell in files][:3])
        raise UserError(
            f"nothing to import: {has}", where=str(folder),
            fix=f"the study has test tables for {wanted}, ..." if wanted else f"the study has no table of {benchmark}",
        )  # fmt: skip
    tables = test_tables(home, own, [rows[cell] for cell in there if cell in rows])
    judged, warnings = judge(folder, labels, tables, files, benchmark)
    figures: dict[str, float] = {}
    evaluations, stages, keys = [], [], Keys()
    for cell, part in judged.items():
        scores = scores_of(part.rows, cell, benchmark)
        stage, record = commit(home, study, f"{' | '.join(cell)} | {name} | seed {seed}", part, scores, keys)
        figures["/".join(cell)] = scores["metrics"][scores["primary"]]
        if scores["n"] >= _TOO_MANY_TO_GUESS and figures["/".join(cell)] == 100.0:
            warnings.append(
                f"{'/'.join(cell)}: all {scores['n']:,} predictions are right: is the file a copy of the labels?"
            )
        stages.append(stage_facts(stage, record, home))
        evaluations.append(evaluation(home, record, scores, name, seed))
    told_more = {key: value for key, value in metadata.items() if key not in _LISTS}
    description = {"description": "imported predictions", MARK: {"benchmark": benchmark, "metadata": told_more}}
    _land(home, study, Condition(name=name, description=description), seed, evaluations, stages)
    return Imported(
        study=study,
        condition=name,
        benchmark=benchmark,
        seed=seed,
        figures=figures,
        missing=tuple("/".join(cell) for cell in sorted(rows) if cell in files and cell not in judged),
        not_taken=tuple(files[cell] for cell in there if cell not in rows),
        warnings=tuple(warnings),
    )


def _check_name(landing: Landing, name: str) -> None:
    where = f"study {landing.study.name}"
    if landing.origin:
        raise UserError(
            f"was added from {landing.origin}", where=where, fix="import there, then `xtreme-dag results add` again"
        )
    if not re.fullmatch(NAME, name):
        raise UserError(f"{name!r} is no name", where="--name", fix="small letters, digits, _, + and -")
    if any(row.name == name and not is_imported(row) for row in landing.study.conditions):
        raise UserError(f"{name!r} is a condition of its own", where=where, fix="give the import another --name")


def _read_metadata(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise UserError("no such folder", where=str(folder))
    path = folder / METADATA
    if not path.is_file():
        return {}
    metadata, _ = read_json(path)
    if not isinstance(metadata, dict):
        raise UserError("is not a JSON object", where=str(path), fix="mend it, or take it away")
    try:
        canonical(metadata).encode()
    except ValueError as error:
        raise UserError(f"is not plain JSON ({error})", where=str(path), fix="mend it, or take it away") from None
    return dict(metadata)


def _chosen_seed(landing: Landing, given: int | None, told: object) -> int:
    if given is not None:
        return given
    seeds = landing.study.seeds or tuple(sorted({row.seed for row in landing.evaluations}))
    return next((seed for seed in seeds if seed == told), seeds[0])


def _check_files(folder: Path, files: Mapping[Cell, str], benchmark: str) -> None:
    """Refuses files of tasks or languages that the benchmark does not have; other files are no concern of ours."""
    known = set(files.values())
    found = sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*") if path.suffix in _SUFFIXES)
    unknown = [path for path in found if path not in known and not Path(path).name.startswith(".")]
    if not unknown:
        return
    others = [other for other in load_catalogue().benchmarks if unknown[0] in folder_files(other).values()]
    raise UserError(
        f"{unknown[0]} is not a file of {benchmark}" + (f", nor are {len(unknown) - 1} more" if unknown[1:] else ""),
        where=str(folder),
        fix=f"is it --benchmark {others[0]}?" if others else nearest(unknown[0], known),
    )


def _land(
    home: Home,
    study: str,
    condition: Condition,
    seed: int,
    evaluations: list[Evaluation],
    stages: list[StageFacts],
) -> None:
    """Keeps the import, with what the same name has for other seeds, and lands the study with it."""
    path = import_path(home, study, condition.name)
    with landing_turn(home, study):
        own = without_imports(landed(home, study))
        before = earlier(home, study, condition.name)
        if before is not None:
            others = [row for row in before.evaluations if row.seed != seed]
            keys = {row.stage_key for row in others}
            evaluations = [*others, *evaluations]
            stages = [*(stage for stage in before.stages if stage.key in keys), *stages]
        facts = StudyFacts(name=study, question="", baseline=condition.name, conditions=(condition,))
        kept = path.read_bytes() if before is not None else None
        keep(home, Landing(study=facts, evaluations=tuple(evaluations), contracts=(), stages=tuple(stages)))
        try:
            whole, rows, every = with_imports(home, own.study, own.evaluations, own.stages)
            land(home, whole, rows, own.contracts, every, own.overlaps)
        except BaseException:
            path.unlink() if kept is None else write_atomically(path, kept)
            raise
        forget_published(home, study)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entry = {"time": now, "run": f"import of {condition.name}", "study": study, "kind": KIND, "outcome": DONE}
    # Garbage collection keeps what the ledger names.
    Ledger(home.ledger).append([{**entry, "stage": stage.name, "key": stage.key, "seconds": 0.0} for stage in stages])
