"""List the files of a folder in the XTREME layout, and score them against a folder of labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xtreme_dag import formats
from xtreme_dag.catalogue.benchmarks import official
from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.core.errors import UserError
from xtreme_dag.formats.declaration import Format, Judge, Judged, Layout
from xtreme_dag.scoring.averages import Listed, averages
from xtreme_dag.scoring.columns import added, figures
from xtreme_dag.scoring.combine import FAMILIES

Cell = tuple[str, str]
"""A task and a language."""

SHOWN = 5
# The mean of exact match and F1 is a figure of a task, not of a language, in evaluate.py.
_UNREPORTED = ("em_f1_mean",)


@dataclass(frozen=True, kw_only=True)
class FolderTask:
    """How one task of a benchmark lies in a folder and is scored.

    Attributes:
        name: the task, and its folder.
        format: of its dataset.
        layout: of the format.
        metrics: dotted names of the metrics that the task adds to its family.
        languages: of its files.
        group: of tasks, in the averages.
    """

    name: str
    format: Format
    layout: Layout
    metrics: tuple[str, ...]
    languages: tuple[str, ...]
    group: str

    @property
    def family(self) -> str:
        """Its family of metrics (`combine.FAMILIES`)."""
        return self.layout.family

    @property
    def judge(self) -> Judge:
        """What reads two of its files."""
        return self.layout.judges.get(self.name, self.layout.judge)

    def file(self, language: str) -> str:
        """The name of a prediction or label file in the task's folder."""
        return f"test-{language}.{self.layout.suffix}"


def folder_tasks(benchmark: str) -> dict[str, FolderTask]:
    """The tasks of `xtreme` or `xtreme-r`, as the catalogue has them: it may add some to the benchmark's own.

    Raises:
        UserError: the format of one has no layout.
    """
    catalogue = load_catalogue()
    tasks = {}
    for name in catalogue.benchmarks[benchmark]:
        task, format = catalogue.task(name), formats.get(catalogue.dataset(name).format)
        if format.layout is None:
            raise UserError(f"format {format.name} has no layout of files", where=f"task {name}")
        tasks[name] = FolderTask(
            name=name,
            format=format,
            layout=format.layout,
            metrics=task.metrics,
            languages=task.languages[benchmark],
            group=task.group,
        )
    return tasks


def folder_files(benchmark: str) -> dict[Cell, str]:
    """Task and language -> path of the file, for all that a benchmark lists."""
    return {
        (name, language): f"{name}/{task.file(language)}"
        for name, task in folder_tasks(benchmark).items()
        for language in task.languages
    }


def averaged(benchmark: str, tasks: Mapping[str, FolderTask]) -> dict[str, Listed]:
    """What the official averages are over: the benchmark's own tasks and languages, whatever else is in a folder."""
    return {
        name: Listed(languages=languages, group=tasks[name].group)
        for name, languages in official()[benchmark].items()
        if name in tasks
    }


def score_folder(predictions: Path, labels: Path, benchmark: str = "xtreme") -> dict[str, Any]:
    """Scores every task and language that both folders have.

    Args:
        predictions: folder with `<task>/test-<language>.<suffix>`.
        labels: likewise.
        benchmark: `xtreme` or `xtreme-r`.

    Returns:
        `tasks`: task -> language -> metric -> figure of 0-100; `averages`: see `averages.averages`; `warnings`: texts.

    Raises:
        UserError: a folder is missing, nothing can be scored, or files that the official scorer would fail on.
    """
    tasks = folder_tasks(benchmark)
    warnings = [*_unknown_folders(predictions, tasks, benchmark)]
    scores: dict[str, dict[str, dict[str, float]]] = {}
    for task, language, judged in judge_tasks(tasks, predictions, labels, warnings):
        found = figures(FAMILIES[task.family].metrics, judged.statistics)
        found |= added(task.metrics, judged.gold, judged.predictions, judged.statistics)[1]
        scores.setdefault(task.name, {})[language] = {m: v for m, v in found.items() if m not in _UNREPORTED}
        warnings += [f"{task.name}/{language}: {warning}" for warning in judged.warnings]
    if not scores:
        raise UserError(
            f"no task of {benchmark} has both predictions and labels",
            where=f"{predictions}, {labels}",
            fix=_nearby((predictions, labels), tasks)
            or "the layout is <task>/test-<language>.tsv, .json or .jsonl; tasks: " + ", ".join(tasks),
        )
    means = averages(scores, benchmark, averaged(benchmark, tasks))
    return {"benchmark": benchmark, "tasks": scores, "averages": means, "warnings": warnings}


def judge_tasks(
    tasks: Mapping[str, FolderTask], predictions: Path, labels: Path, warnings: list[str]
) -> Iterator[tuple[FolderTask, str, Judged]]:
    """Judges every task and language that has both files; says in `warnings` which have not.

    Raises:
        UserError: files that the official scorer would fail on, those of all tasks in one message.
    """
    errors: list[UserError] = []
    for task in tasks.values():
        for language, judged in _judge_languages(task, predictions, labels, warnings, errors):
            yield task, language, judged
    if len(errors) == 1:
        raise errors[0]
    if errors:
        more = [f"  and {len(errors) - SHOWN} more"] if len(errors) > SHOWN else []
        fixes = {error.fix for error in errors}
        raise UserError(
            "\n".join([f"{len(errors)} files cannot be scored", *map(_line, errors[:SHOWN]), *more]),
            fix=fixes.pop() if len(fixes) == 1 else "",
        )


def _judge_languages(
    task: FolderTask, predictions: Path, labels: Path, warnings: list[str], errors: list[UserError]
) -> Iterator[tuple[str, Judged]]:
    sides = {"predictions": predictions / task.name, "labels": labels / task.name}
    absent = [side for side, folder in sides.items() if not folder.is_dir()]
    if absent:
        files = [folder for folder in sides.values() if folder.exists() and not folder.is_dir()]
        errors += [UserError("is a file, not a folder", where=str(path), fix="take it away") for path in files]
        warnings.append(f"{task.name}: not scored, there are no {' and no '.join(absent)}")
        return
    missing: dict[str, list[str]] = {}
    for language in task.languages:
        files_of = {side: folder / task.file(language) for side, folder in sides.items()}
        gaps = [side for side, path in files_of.items() if not path.exists()]
        if gaps:
            missing.setdefault(" and no ".join(gaps), []).append(language)
            continue
        try:
            yield language, task.judge(files_of["labels"], files_of["predictions"], language)
        except UserError as error:
            errors.append(error)
    warnings += [f"{task.name}: no {what} for {', '.join(languages)}" for what, languages in missing.items()]
    listed = {task.file(language) for language in task.languages}
    extra = sorted(path.name for path in sides["predictions"].glob("test-*") if path.name not in listed)
    if extra:
        more = f" and {len(extra) - SHOWN} more" if len(extra) > SHOWN else ""
        warnings.append(
            f"{task.name}: not scored, as the benchmark lists no such test-<language>.{task.layout.suffix}: "
            f"{', '.join(extra[:SHOWN])}{more}"
        )


def _nearby(folders: Sequence[Path], tasks: Mapping[str, FolderTask]) -> str:
    """The advice where the folders of the tasks stand one level further down; empty where they do not."""
    for folder in folders:
        inner = [path.parent for path in sorted(folder.glob("*/*")) if path.is_dir() and path.name in tasks]
        if inner and not any((folder / name).is_dir() for name in tasks):
            return f"the folders of the tasks are in {' and '.join(dict.fromkeys(map(str, inner)))}"
    return ""


def _line(error: UserError) -> str:
    return f"  {error.where}: {error.what}"


def _unknown_folders(predictions: Path, tasks: Mapping[str, FolderTask], benchmark: str) -> list[str]:
    if not predictions.is_dir():
        raise UserError("no such folder", where=str(predictions))
    names = sorted(path.name for path in predictions.iterdir() if path.is_dir() and path.name not in tasks)
    return [f"{name}: not scored, it is not a task of {benchmark}" for name in names]
