"""Synthetic studies: artifacts as the evaluate stage writes them, with effects that are planted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xtreme_dag.core.home import Home
from xtreme_dag.engine.digests import file_digest, list_files, tree_digest
from xtreme_dag.engine.store import Store
from xtreme_dag.results.facts import Condition, ContractOutcome, Evaluation, StageFacts, StudyFacts
from xtreme_dag.results.signals import signals_of
from xtreme_dag.scoring.columns import column_sums
from xtreme_dag.scoring.combine import FAMILIES, values

Columns = Mapping[str, np.ndarray]


def write_artifact(
    folder: Path,
    *,
    ids: Sequence[str],
    language: str,
    columns: Columns,
    family: str,
    task: str,
    split: str,
    predictions: Sequence[str] | None = None,
) -> None:
    """Writes `predictions.parquet` and `scores.json` as an evaluate stage does."""
    folder.mkdir(parents=True, exist_ok=True)
    n = len(ids)
    table = {
        "id": pa.array(ids),
        "language": pa.array([language] * n),
        "gold": pa.array(["gold"] * n),
        "prediction": pa.array(
            list(predictions) if predictions is not None else ["a", "b"] * (n // 2) + ["a"] * (n % 2)
        ),
        "score": pa.array(np.zeros(n), pa.float32()),
        **{name: pa.array(np.asarray(column, dtype=np.float64)) for name, column in columns.items()},
    }
    pq.write_table(pa.table(table), folder / "predictions.parquet", compression="zstd")
    metrics = {name: float(value) for name, value in values(family, column_sums(columns)).items()}
    scores = {
        "task": task,
        "language": language,
        "split": split,
        "n": n,
        "metrics": metrics,
        "primary": FAMILIES[family].primary,
    }
    (folder / "scores.json").write_text(json.dumps(scores))


def in_store(home: Path, folder: Path) -> Path:
    """Moves a folder to the place in the store that an artifact of its content has; returns that."""
    digest = tree_digest({name: (file_digest(path), 0) for name, path in list_files(folder).items()})
    place = Store(Home(home).store).artifact(digest)
    if place == folder:
        return place
    if place.exists():
        shutil.rmtree(folder)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(place)
    return place


@dataclass
class Made:
    """A synthetic study, ready to land."""

    study: StudyFacts
    evaluations: list[Evaluation]
    contracts: list[ContractOutcome]
    stages: list[StageFacts]

    @property
    def arguments(self) -> tuple[StudyFacts, list[Evaluation], list[ContractOutcome], list[StageFacts]]:
        return self.study, self.evaluations, self.contracts, self.stages

    def settle(self) -> None:
        """Moves artifacts that a test has edited to where artifacts of their new content are, and looks at them anew."""
        places = {row.artifact: in_store(row.artifact.parents[3], row.artifact) for row in self.evaluations}
        self.evaluations[:] = [replace(row, artifact=places[row.artifact]) for row in self.evaluations]
        seen = {row.stage_key: signals_of(row.artifact) for row in self.evaluations}
        self.stages[:] = [replace(one, warnings=seen.get(one.key, one.warnings)) for one in self.stages]


def make_study(
    home: Path,
    *,
    name: str = "demo",
    conditions: Mapping[str, float] | None = None,
    tasks: Mapping[str, str] | None = None,
    languages: Sequence[str] = ("en", "de", "sw"),
    seeds: Sequence[int] = (1, 2),
    n: int = 60,
    splits: Sequence[str] = ("dev", "test"),
    seed: int = 0,
    slope: float = 0.1,
) -> Made:
    """A study whose condition's mean quality is planted: condition -> probability of being right in English.

    Other languages lie `slope` lower for each place in `languages`; `tasks` maps a task to its metric family.
    """
    rng = np.random.default_rng(seed)
    conditions = dict(conditions or {"none": 0.6, "english": 0.7, "mixed": 0.85})
    tasks = dict(tasks or {"xnli": "accuracy", "udpos": "tagging", "xquad": "answers"})
    evaluations, stages = [], []

    def stage(kind: str, label: str, inputs: Mapping[str, str], **more: object) -> StageFacts:
        made = StageFacts(
            key=f"key-{kind}-{label}",
            kind=kind,
            name=f"{kind}[{label}]",
            digest=f"digest-{kind}-{label}",
            fingerprint="f" * 8,
            git_commit="c0ffee",
            libraries={"torch": "2.13.0"},
            host="box",
            device="cpu",
            started="2026-11-01T10:00:00",
            seconds=10.0,
            peak_memory_bytes=10**9,
            inputs=dict(inputs),
            figures={"tokens": 1000},
            **more,
        )
        stages.append(made)
        return made

    pool = stage("prepare", f"{name}/pool", {"raw": "raw-digest"})
    for condition, right in conditions.items():
        middle = stage("intermediate", f"{name}/{condition}", {"data": pool.digest})
        for task, family in tasks.items():
            for run in seeds:
                model = stage("target", f"{name}/{condition}/{task}/{run}", {"model": middle.digest})
                for place, language in enumerate(languages):
                    for split in splits:
                        label = f"{name}/{condition}/{task}/{language}/{split}/{run}"
                        columns = make_columns(rng, family, n, max(0.05, right - slope * place))
                        folder = home / "unfinished"
                        ids = [f"{task}-{split}-{index}" for index in range(n)]
                        write_artifact(
                            folder, ids=ids, language=language, columns=columns, family=family, task=task, split=split
                        )
                        folder = in_store(home, folder)
                        done = stage("evaluate", label, {"model": model.digest, "data": pool.digest})
                        evaluations.append(
                            Evaluation(
                                stage_key=done.key,
                                condition=condition,
                                task=task,
                                language=language,
                                split=split,
                                seed=run,
                                primary=FAMILIES[family].primary,
                                artifact=folder,
                                digest=done.digest,
                            )
                        )
    study = StudyFacts(
        name=name,
        question="Does mixed-language intermediate training beat English-only training?",
        baseline=next(iter(conditions)),
        conditions=tuple(Condition(name=condition, description={"languages": [condition]}) for condition in conditions),
        targets=tuple(tasks),
        seeds=tuple(seeds),
        recipe={"learning_rate": 1e-5},
    )
    contracts = [
        ContractOutcome(dataset="xnli", language="de", split="test", ok=True, rules=12, digest="d1"),
        ContractOutcome(
            dataset="xnli",
            language="sw",
            split="test",
            ok=False,
            rules=12,
            digest="d2",
            violations=({"rule": "unique_ids", "count": 2, "ids": ["a", "b"]},),
        ),
    ]
    return Made(study, evaluations, contracts, stages)


def in_groups(made: Made, column: str, *, of: int, languages: Sequence[str] | None = None) -> None:
    """Gives predictions groups of examples that hang together: all are right, or all wrong, as the first of them is."""
    for row in made.evaluations:
        if languages is None or row.language in languages:
            path = row.artifact / "predictions.parquet"
            table = pq.read_table(path)
            first = pa.array(np.arange(table.num_rows) // of * of)
            for name in table.column_names:
                if name.startswith("s_"):
                    table = table.set_column(table.column_names.index(name), name, table[name].take(first))
            pq.write_table(table.append_column(column, table["id"].take(first)), path)
    made.settle()


def make_columns(rng: np.random.Generator, family: str, n: int, right: float) -> dict[str, np.ndarray]:
    """Sufficient statistics of n examples of a model that is right with probability `right`."""
    if family == "accuracy":
        return {"s_correct": (rng.random(n) < right).astype(float)}
    if family == "tagging":
        gold = rng.integers(1, 6, n)
        hits = rng.binomial(gold, right)
        predicted = hits + rng.binomial(gold, 1 - right)
        tokens = gold * 4
        return {
            "s_tp": hits,
            "s_pred": predicted,
            "s_gold": gold,
            "s_tokens_correct": rng.binomial(tokens, right),
            "s_tokens": tokens,
        }
    if family == "answers":
        f1 = np.where(rng.random(n) < right, rng.choice([0.4, 0.5, 2 / 3, 0.8, 1.0], n), 0.0)
        return {"s_em": (f1 == 1.0).astype(float), "s_f1": f1}
    raise ValueError(family)
