"""The facts of a run that go into the database: frozen, typed, and readable from JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xtreme_dag.core.english import ENGLISH
from xtreme_dag.results.signals import Signal

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One recipe of intermediate training.

    Attributes:
        name: its label in the study (`none`, `english`, `mixed`, ...).
        description: what defines it, as JSON values (datasets, languages, shares, budget).
    """

    name: str
    description: Json = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LanguageFacts:
    """What is known of a language of the study; views group by it.

    Attributes:
        code: ISO 639-1 as XTREME spells it, or the code of a generated language.
        name: English name.
        family: language family, with the branch after a colon (`Indo-European: Germanic`).
        script: writing system.
        seen_in_pretraining: whether the encoder's pretraining text had it; None if unknown.
        kinship: for generated languages, the planted similarity to the source language (0-1).
    """

    code: str
    name: str
    family: str | None = None
    script: str | None = None
    seen_in_pretraining: bool | None = None
    kinship: float | None = None


@dataclass(frozen=True, kw_only=True)
class TaskFacts:
    """What is known of a target task.

    Attributes:
        name: its name in the catalogue (`xnli`).
        title: its name in print (`XNLI`).
        group: `classification`, `tagging`, `qa` or `retrieval`.
        benchmarks: benchmark name (`xtreme`, `xtreme-r`) -> the languages that its official average is taken over.
    """

    name: str
    title: str
    group: str
    benchmarks: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TableFacts:
    """A table that the study read, and how much of what was published it is.

    Attributes:
        dataset, language, split: what it is of.
        examples: its examples.
        available: examples that the source has; more than `examples` where the study set a limit.
        published: how many its publishers count; None where that is not known, or it is generated.
        stand_in: what it really is, where it only stands in for the split; else empty.
    """

    dataset: str
    language: str
    split: str
    examples: int
    available: int
    published: int | None = None
    stand_in: str = ""


@dataclass(frozen=True, kw_only=True)
class TrainingFacts:
    """What one training really drew of one table.

    Attributes:
        condition, seed: the run.
        target: target task; empty for intermediate training.
        step: number of the step of intermediate training, from 1.
        task: the task that was trained.
        dataset, language: of the table that was read.
        examples, tokens: that were drawn, once through.
    """

    condition: str
    seed: int
    target: str
    step: int
    task: str
    dataset: str
    language: str
    examples: int
    tokens: int


@dataclass(frozen=True, kw_only=True)
class CurveFacts:
    """One measure of one training over its optimizer steps.

    Attributes:
        stage_key: key of the training stage.
        kind: `pretrain`, `intermediate` or `target`.
        condition, seed: the run; empty and 0 where all conditions share the stage.
        target: target task; else empty.
        step: number of the step of intermediate training, from 1.
        measure: `loss` (mean since the point before), `dev` (mean figure of a look at dev), `dev TASK`, or a figure of
            progress (`tokens_per_s`, `memory_mb`, ...).
        at: optimizer steps done.
        values: the measure there.
    """

    stage_key: str
    kind: str
    condition: str
    seed: int
    target: str
    step: int
    measure: str
    at: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class TrialFacts:
    """One trial of a grid.

    Attributes:
        condition, task, seed: whose target training it tries.
        trial: its place in the grid, from 1.
        settings: what it has of its own in the recipe, as JSON text.
        dev: the figure that it was chosen by: the share of right decisions on dev, 0-1.
        optimizer_step: whose weights it kept.
        chosen: whether the model, or that of all seeds, has its settings.
        stage_key: key of its training.
    """

    condition: str
    task: str
    seed: int
    trial: int
    settings: str
    dev: float
    optimizer_step: int
    chosen: bool
    stage_key: str


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """A study as it was run.

    Attributes:
        name: label of the study; one landing replaces what the study landed before.
        question: the question in a sentence.
        baseline: name of the condition that the others are compared with.
        conditions: all conditions, in the order of the study.
        targets: target tasks.
        seeds: seeds of the runs.
        recipe: the study file's settings as JSON values.
        source_language: the language of target-task training; the transfer gap is taken from it.
        languages: facts about the languages, as far as known.
        tasks: facts about the target tasks, as far as known.
        tables: the tables that were read.
        trained: what its trainings drew.
        curves: how its trainings went.
        trials: the trials of its grids.
    """

    name: str
    question: str
    baseline: str
    conditions: tuple[Condition, ...]
    targets: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    recipe: Json = field(default_factory=dict)
    source_language: str = ENGLISH
    languages: tuple[LanguageFacts, ...] = ()
    tasks: tuple[TaskFacts, ...] = ()
    tables: tuple[TableFacts, ...] = ()
    trained: tuple[TrainingFacts, ...] = ()
    curves: tuple[CurveFacts, ...] = ()
    trials: tuple[TrialFacts, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One model x task x language x split that was scored.

    Attributes:
        stage_key: key of the `evaluate` stage.
        condition: name of the condition.
        task: target task.
        language: language of the examples.
        split: `dev` or `test`.
        seed: seed of the run.
        primary: the metric that stands for the task.
        artifact: folder with `predictions.parquet` and `scores.json`.
        digest: digest of the artifact.
        supervision: what the model was trained on in the language: `source` (the task was trained in it), `same task`,
            `other task`, `text` or `none`; empty if unknown.
        texts: the canonical table of the examples; None if it is not here (an imported submission).
    """

    stage_key: str
    condition: str
    task: str
    language: str
    split: str
    seed: int
    primary: str
    artifact: Path
    digest: str
    supervision: str = ""
    texts: Path | None = None


@dataclass(frozen=True, kw_only=True)
class ContractOutcome:
    """What a data contract said of one table.

    Attributes:
        dataset: name of the dataset.
        language: language of the table.
        split: split of the table.
        ok: whether every rule held.
        rules: number of rules that were evaluated.
        violations: one JSON object per broken rule (`rule`, `count`, first offending ids, ...).
        digest: digest of the outcome's artifact.
    """

    dataset: str
    language: str
    split: str
    ok: bool
    rules: int
    violations: tuple[Json, ...] = ()
    digest: str = ""


@dataclass(frozen=True, kw_only=True)
class StageFacts:
    """One stage of the run, from its manifest.

    Attributes:
        key: the stage's key (its inputs, parameters and code).
        kind: `prepare`, `check`, `audit`, `encode`, `pretrain`, `translate`, `intermediate`, `trial`, `choose`,
            `target`, `search`, `evaluate`.
        name: readable name (`evaluate[mixed/xnli/de/test/1]`).
        digest: digest of the artifact that it wrote.
        fingerprint: code fingerprint.
        git_commit: commit of the working tree, with `+` and the like if it was dirty; empty if unknown.
        libraries: library -> version.
        host: machine that ran it.
        processor: its processor and widest vector instructions.
        device: device that ran it (`cpu`, `NVIDIA H100 80GB HBM3`, ...).
        started: start in UTC, ISO 8601.
        seconds: wall-clock seconds.
        peak_memory_bytes: peak resident memory of its process.
        figures: numbers that the stage reported (`tokens`, `gpu_seconds`, `energy_wh`, ...).
        inputs: name of an input -> digest of the artifact or raw file.
        warnings: signals that its outcome means little.
    """

    key: str
    kind: str
    name: str
    digest: str
    fingerprint: str = ""
    git_commit: str = ""
    libraries: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
    processor: str = ""
    device: str = ""
    started: str | None = None
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    figures: Json = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[Signal, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LandingReport:
    """What a landing did.

    Attributes:
        study: name of the study.
        changed: False if the database already said all of it and was left alone.
        evaluations: number of evaluations that the study has in the database.
        scores: number of rows that it has in `scores`.
        stages: number of its stages.
        database: the DuckDB file.
    """

    study: str
    changed: bool
    evaluations: int
    scores: int
    stages: int
    database: Path
