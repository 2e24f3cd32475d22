"""From a study to its stage graph: wiring only, no work; nothing is read but directory listings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xtreme_dag.benchmark.catalogue import Dataset, TableRef, Task, load_catalogue
from xtreme_dag.errors import UserError, nearest
from xtreme_dag.evaluation.entry import entry
from xtreme_dag.recipe import load_recipe
from xtreme_dag.stages.graph import Graph, Output, Source, Stage
from xtreme_dag.stages.models import TENSORS, base_model, tokenizer_of
from xtreme_dag.stages.tables import HEAD_OF_FORMAT, Tables
from xtreme_dag.study import Component, Condition, Study


@dataclass(frozen=True, kw_only=True)
class Built:
    """A study's graph, and what there is to know about its data.

    Attributes:
        graph: the stages.
        tasks: the target tasks, in the study's order.
        missing: task -> languages of the benchmark that the source does not have.
        stand_ins: table -> what it really is.
    """

    graph: Graph
    tasks: tuple[Task, ...]
    missing: Mapping[str, tuple[str, ...]]
    stand_ins: Mapping[str, str]


def build(study: Study) -> Built:
    """Builds the graph of a study.

    Raises:
        UserError: an unknown task, dataset, language or setting, or data that the source does not have.
    """
    return _Builder(study).build()


class _Builder:
    """Adds the stages of one study to one graph."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.graph = Graph()
        self.catalogue = load_catalogue()
        self.recipe = load_recipe(study.recipe)
        self.tasks = self._tasks()
        self.tables = Tables(study, self.graph, self.catalogue, self.recipe)
        self.base = base_model(study, self.graph, self.tables, self.catalogue)
        self.tokenizer = tokenizer_of(self.base)
        self.missing: dict[str, tuple[str, ...]] = {}

    def build(self) -> Built:
        """The whole graph, a seed and a condition at a time."""
        languages = {task.name: self._languages(task) for task in self.tasks}
        for seed in self.study.seeds:
            for name, condition in self.study.intermediate.items():
                start = self._intermediate(name, condition, seed)
                for task in self.tasks:
                    model = self._target(task, name, seed, start)
                    for language in languages[task.name]:
                        self._evaluate(task, language, name, seed, model)
        return Built(graph=self.graph, tasks=self.tasks, missing=self.missing, stand_ins=self.tables.stand_ins)

    def _tasks(self) -> tuple[Task, ...]:
        names: list[str] = []
        valid = (*self.catalogue.tasks, *self.catalogue.benchmarks)
        for target in self.study.targets:
            if target not in valid:
                raise UserError(f"no target task {target!r}", where="targets", fix=nearest(target, valid))
            names += self.catalogue.benchmarks.get(target, (target,))
        return tuple(self.catalogue.task(name) for name in dict.fromkeys(names))

    def _languages(self, task: Task) -> list[str]:
        """Languages to evaluate in: the benchmark's that the source has, or those that the study names."""
        dataset = self.catalogue.dataset(task.test.dataset)
        available = self.tables.source.languages(dataset, task.test.split)
        generated = self.tables.source.kind == "miniworld"
        listed = available if generated else task.languages.get(self.study.benchmark) or dataset.languages
        if self.study.languages:
            known = {*available, *(code for each in self.catalogue.datasets.values() for code in each.languages)}
            for language in self.study.languages:
                if language not in known:
                    raise UserError(f"no language {language!r}", where="languages", fix=nearest(language, known))
            listed = tuple(language for language in listed if language in self.study.languages)
        missing = tuple(language for language in listed if language not in available)
        if missing:
            self.missing[task.name] = missing
        if listed and len(missing) == len(listed):
            # Says where it looked and how to get the data.
            self.tables.source.locate(dataset, listed[0], task.test.split)
        return [language for language in listed if language in available]

    def _intermediate(self, name: str, condition: Condition, seed: int) -> Source | Output:
        """Adds intermediate training of a condition; without a mixture the base model itself goes on."""
        if not condition.mixture:
            return self.base
        assert condition.budget is not None
        inputs: dict[str, Source | Output] = {"model": self.base}
        mixture: list[dict[str, Any]] = []
        for component in condition.mixture:
            dataset, head = self._trainable(component, f"intermediate.{name}")
            ref = TableRef(dataset=dataset.name, split=component.split)
            for language in component.shares():
                stage = self.tables.encoded(ref, language, head, dataset.name, self.tokenizer)
                inputs[f"train/{dataset.name}/{language}"] = Output(stage=stage.name)
            parts = [
                {"dataset": dataset.name, "language": code, "share": share}
                for code, share in component.shares().items()
            ]
            mixture.append(
                {
                    "task": dataset.name,
                    "head": head,
                    "labels": list(dataset.labels),
                    "share": component.share,
                    "parts": parts,
                }
            )
        groups = [str(part[key]) for key in ("head", "task") for part in mixture]
        stage = Stage(
            kind="intermediate",
            name=f"intermediate[{name} | seed {seed}]",
            function="xtreme_dag.training.stages:intermediate",
            params={
                "seed": seed,
                "mixture": mixture,
                "budget": condition.budget.model_dump(exclude_none=True),
                "control": condition.control,
                "items": condition.items,
                "recipe": self.recipe.settings("intermediate", *groups),
            },
            inputs=inputs,
            libraries=TENSORS,
            labels={"condition": name, "seed": seed},
        )
        return Output(stage=self.graph.add(stage).name)

    def _trainable(self, component: Component, where: str) -> tuple[Dataset, str]:
        """A component's dataset and head, if it may be trained on and is there in all its languages."""
        dataset = self.catalogue.dataset(component.dataset)
        declared = dataset.split(component.split)
        if declared.use == "test":
            raise UserError(
                f"{dataset.name} {component.split} is a test split: nothing may be trained on it", where=where
            )
        if dataset.format not in HEAD_OF_FORMAT:
            raise UserError(f"{dataset.name} ({dataset.format}) cannot be an intermediate task", where=where)
        available = self.tables.source.languages(dataset, component.split)
        for language in component.shares():
            if language not in available:
                have = f"it has: {' '.join(available)}" if available else dataset.get
                raise UserError(
                    f"{dataset.name} {component.split} has no language {language!r} here", where=where, fix=have
                )
        return dataset, HEAD_OF_FORMAT[dataset.format]

    def _target(self, task: Task, condition: str, seed: int, start: Source | Output) -> Source | Output:
        """Adds English target training; a task without training data takes the model as it is."""
        if task.train is None:
            return start
        recipe = self.recipe.settings("target", task.head, task.name)
        examples = recipe.pop("examples", None)
        train = self.tables.encoded(task.train, "en", task.head, task.name, self.tokenizer, examples=examples)
        inputs: dict[str, Source | Output] = {"model": start, "train": Output(stage=train.name)}
        if task.select is not None and recipe.get("select_every"):
            inputs["select"] = Output(
                stage=self.tables.encoded(task.select, "en", task.head, task.name, self.tokenizer).name
            )
        labels = list(self.catalogue.dataset(task.train.dataset).labels)
        stage = Stage(
            kind="target",
            name=f"target[{task.name} | {condition} | seed {seed}]",
            function="xtreme_dag.training.stages:target",
            params={"seed": seed, "task": task.name, "head": task.head, "labels": labels, "recipe": recipe},
            inputs=inputs,
            libraries=TENSORS,
            labels={"condition": condition, "seed": seed, "task": task.name},
        )
        return Output(stage=self.graph.add(stage).name)

    def _evaluate(self, task: Task, language: str, condition: str, seed: int, model: Source | Output) -> None:
        """Adds the evaluation of a model in one language."""
        dataset = self.catalogue.dataset(task.test.dataset)
        facts = {"task": task.name, "dataset": dataset.name, "language": language, "split": task.test.split}
        recipe = self.recipe.settings("evaluate", task.head, task.name)
        encoded = self.tables.encoded(task.test, language, task.head, task.name, self.tokenizer)
        table = encoded.inputs["table"]
        self.graph.add(
            Stage(
                kind="evaluate",
                name=f"evaluate[{task.name} | {language} | {condition} | seed {seed}]",
                function=entry(dataset.format, dataset.name),
                params={
                    **facts,
                    "head": task.head,
                    "labels": list(dataset.labels),
                    "metric": task.metric,
                    "recipe": recipe,
                },
                inputs={"model": model, "encoded": Output(stage=encoded.name), "table": table},
                libraries=TENSORS,
                labels={**facts, "condition": condition, "seed": seed},
            )
        )
