"""Builds a study's stage graph; of the data only directory listings are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from xtreme_dag.catalogue.catalogue import Dataset, TableRef, Task, load_catalogue
from xtreme_dag.core.errors import UserError, nearest, refuse_unknown
from xtreme_dag.engine.graph import Graph, Source
from xtreme_dag.heads import HEADS, head_of
from xtreme_dag.study.file import Study, Table, Target
from xtreme_dag.study.recipe import load_recipe
from xtreme_dag.wiring.derived import Derived
from xtreme_dag.wiring.evaluations import Evaluations
from xtreme_dag.wiring.fit import check_fit, check_groups, shape_of
from xtreme_dag.wiring.mixing import Mixing, kept_head
from xtreme_dag.wiring.models import Models, base_model, tokenizer_of
from xtreme_dag.wiring.overlaps import Overlaps
from xtreme_dag.wiring.tables import Tables
from xtreme_dag.wiring.targets import Targets


@dataclass(frozen=True, kw_only=True)
class Built:
    """A study's graph, and which of its data are missing or replaced.

    Attributes:
        graph: the stages.
        tasks: the target tasks, in the study's order.
        missing: task -> languages of the benchmark that the source does not have.
        stand_ins: table -> what its data really are, where they stand in for those of a split.
        absent: placeholder stage -> why its data or model are missing.
        notes: what a reader of the plan should know.
        model: the folder of the base model; None where a stage makes it, or it is missing.
    """

    graph: Graph
    tasks: tuple[Task, ...]
    missing: Mapping[str, tuple[str, ...]]
    stand_ins: Mapping[str, str]
    absent: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    model: Path | None = None


def build(study: Study, *, absent: bool = False) -> Built:
    """Builds the graph of a study.

    Args:
        study: the study.
        absent: build it although data or the model are missing, for a plan; nothing is fetched.

    Raises:
        UserError: an unknown task, dataset, language or setting, or data that the source does not have.
    """
    return _Builder(study, absent=absent).build()


class _Builder:
    """Adds the stages of one study to one graph."""

    def __init__(self, study: Study, *, absent: bool) -> None:
        self.study = study
        self.graph = Graph()
        self.catalogue = load_catalogue()
        self.recipe = load_recipe(study.recipe)
        self.examples: dict[str, TableRef | None] = {}
        self.tasks = self._tasks()
        self.tables = Tables(study, self.graph, self.catalogue, self.recipe, absent=absent)
        self.models = Models(self.graph, absent=absent)
        self.base = base_model(study, self.graph, self.tables, self.catalogue, self.models)
        derived = Derived(self.tables, self.graph, self.catalogue, self.models.pretrained)
        parts = (self.graph, self.catalogue, self.recipe, self.tables, derived, tokenizer_of(self.base))
        self.mixing, self.evaluations = Mixing(*parts), Evaluations(*parts)
        self.targets = Targets(*parts, examples=self.examples, first=study.seeds[0])
        self.missing: dict[str, tuple[str, ...]] = {}

    def build(self) -> Built:
        """Adds the stages of every seed and condition."""
        languages = {task.name: self._languages(task) for task in self.tasks}
        dev = {task.name: self.targets.dev(task, self.study.source_language) for task in self.tasks}
        self._check_sources()
        self._check_heads()
        self._check_limits()
        check_groups(self.recipe, self._groups())
        for seed in self.study.seeds:
            for name, condition in self.study.intermediate.items():
                start = self.mixing.train(name, condition, seed, self.base)
                source = self.study.source_of(condition)
                translated = (condition.test_translated, source) if condition.test_translated else None
                for task in self.tasks:
                    trained = self.evaluations.trained_for(task)
                    model = self.targets.train(trained, name, condition, seed, start, source)
                    for language in languages[task.name]:
                        self.evaluations.add(task, task.test, language, name, seed, model, translated)
                    if (chosen_on := dev[task.name]) is not None:
                        self.evaluations.add(task, *chosen_on, name, seed, model)
        self._check_tests(languages)
        check_fit(self.graph, self.recipe, shape_of(self.study, self.base))
        graph = Overlaps(self.graph, self.tables, self.catalogue, self.study.data.allow_overlap).audited()
        return Built(
            graph=graph,
            tasks=self.tasks,
            missing=self.missing,
            stand_ins=self.tables.stand_ins,
            absent={**self.tables.absent, **self.models.absent},
            notes=(*self.mixing.notes, *self.targets.notes),
            model=Path(self.base.path) if isinstance(self.base, Source) else None,
        )

    def _check_tests(self, languages: Mapping[str, Sequence[str]]) -> None:
        """Refuses a study that tests nothing: the languages that it names are in no test."""
        if not any(languages.values()):
            have = "; ".join(f"{task.name}: {' '.join(self._test(task)[0].languages)}" for task in self.tasks[:3])
            what = f"no target has a test in {' '.join(self.study.languages) or self.tables.source.kind}"
            raise UserError(what, where="languages", fix=f"tests of {have}")

    def _groups(self) -> set[str]:
        """What the groups of a recipe may be called: heads, tasks, datasets and the mixtures of several tasks."""
        steps = (step for condition in self.study.intermediate.values() for step in condition.steps)
        own = {component.head_name for step in steps for component in step.mixture}
        multi = {"multi", *(f"multi_{head}" for head in HEADS)}
        return {"default", *HEADS, *self.catalogue.tasks, *self.catalogue.datasets, *multi, *own}

    def _check_limits(self) -> None:
        """Refuses caps on rows of what there is not: a table that they were meant for would be taken whole."""
        where = "data.limit.datasets"
        for name, caps in self.study.data.limit.datasets.items():
            refuse_unknown([name], self.catalogue.datasets, what="dataset", where=where)
            splits = self.catalogue.dataset(name).splits
            valid = {*splits, *(split.use for split in splits.values())}
            refuse_unknown(caps, valid, what="split", where=f"{where}.{name}")

    def _check_sources(self) -> None:
        known = {code for task in self.tasks for code in self.tables.source.languages(*self._test(task))}
        known |= {code for dataset in self.catalogue.datasets.values() for code in dataset.languages}
        for name, condition in self.study.intermediate.items():
            source = self.study.source_of(condition)
            if source not in known:
                where = f"intermediate.{name}.source_language" if condition.source_language else "source_language"
                raise UserError(f"no language {source!r}", where=where, fix=nearest(source, known))

    def _check_heads(self) -> None:
        targets = {}
        for task in self.tasks:
            first = task.before[0] if task.before else task.train
            if first is not None:
                targets[task.name] = (task.head, self.catalogue.dataset(first.dataset).labels)
        for name, condition in self.study.intermediate.items():
            if condition.keep_head:
                specs = self.mixing.specs(condition.steps[-1])
                kept_head(targets, condition, specs, f"intermediate.{name}.keep_head")

    def _test(self, task: Task) -> tuple[Dataset, str]:
        return self.catalogue.dataset(task.test.dataset), task.test.split

    def _tasks(self) -> tuple[Task, ...]:
        named: dict[str, Target] = {}
        valid = (*self.catalogue.tasks, *self.catalogue.benchmarks)
        for target, given in self.study.targets.items():
            if target not in valid and target in self.catalogue.broken:
                raise self.catalogue.broken[target]
            if target not in valid:
                raise UserError(f"no target task {target!r}", where="targets", fix=nearest(target, valid))
            if target in self.catalogue.benchmarks and given != Target():
                raise UserError("a benchmark has no data of its own", where=f"targets.{target}", fix="name its tasks")
            # What is said of a task by its name holds, also where its benchmark is named beside it.
            named |= {
                name: given if name == target else named.get(name, given)
                for name in self.catalogue.benchmarks.get(target, (target,))
            }
        tasks = tuple(self._trained_on(self.catalogue.task(name), given) for name, given in named.items())
        for task in tasks:
            head_of(task.head, f"{task.name}.yaml: target.head")
        return tasks

    def _trained_on(self, task: Task, given: Target) -> Task:
        """A task with the training and dev data that the study names for it; without what it is trained on before.

        Raises:
            UserError: no such split, one for something else, or of another format or other labels than the test.
        """
        test = self.catalogue.dataset(task.test.dataset)
        for name, uses in (("train", ("train",)), ("select", ("select",)), ("examples", ("train", "select"))):
            table: Table | Literal["none"] | None = getattr(given, name)
            if table == "none":
                self.examples[task.name] = None
            if not isinstance(table, Table):
                continue
            where = f"targets.{task.name}.{name}"
            try:
                dataset = self.catalogue.dataset(table.dataset)
                split = dataset.split(table.split)
            except UserError as error:
                raise UserError(error.what, where=error.where or where, fix=error.fix) from None
            if split.use not in uses:
                what = f"{dataset.name} {split.name} is for {split.use}, not for {' or '.join(uses)}"
                raise UserError(what, where=where)
            if (dataset.format, dataset.labels) != (test.format, test.labels):
                what = f"{dataset.name} ({dataset.format}) and {test.name} ({test.format}) differ in format or labels"
                raise UserError(what, where=where)
            ref = TableRef(dataset=table.dataset, split=table.split)
            if name == "examples":
                self.examples[task.name] = ref
            else:
                task = replace(task, train=ref, before=()) if name == "train" else replace(task, select=ref)
        return task

    def _languages(self, task: Task) -> list[str]:
        """Languages to evaluate in: the benchmark's that the source has, or those that the study names."""
        dataset = self.catalogue.dataset(task.test.dataset)
        available = self.tables.source.languages(dataset, task.test.split)
        generated = self.tables.source.kind == "miniworld" and not dataset.folder
        listed = available if generated else task.languages.get(self.study.benchmark) or dataset.languages
        if self.study.languages:
            known = {*available, *(code for each in self.catalogue.datasets.values() for code in each.languages)}
            for language in self.study.languages:
                if language not in known:
                    raise UserError(f"no language {language!r}", where="languages", fix=nearest(language, known))
            listed = tuple(language for language in listed if language in self.study.languages)
        if (given := self.study.targets.get(task.name)) and given.languages:
            refuse_unknown(given.languages, listed, what="language", where=f"targets.{task.name}.languages")
            listed = tuple(language for language in listed if language in given.languages)
        missing = tuple(language for language in listed if language not in available)
        if missing:
            self.missing[task.name] = missing
        if listed and len(missing) == len(listed):
            # Raises, with where it looked and how to get the data; a plan gets placeholders for all of them.
            self.tables.prepared(dataset, listed[0], task.test.split)
            return list(listed)
        return [language for language in listed if language in available]
