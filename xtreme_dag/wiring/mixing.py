"""Adds the stages of intermediate training: one for each step of a condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from xtreme_dag.catalogue.catalogue import TableRef
from xtreme_dag.core.english import ENGLISH
from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.graph import Output, Stage
from xtreme_dag.heads import HEADS, TEXT_HEAD, head_of, head_of_format
from xtreme_dag.study.conditions import Component, Condition, Step
from xtreme_dag.study.recipe import checked_settings
from xtreme_dag.wiring.adding import Adding, Input
from xtreme_dag.wiring.kinds import INTERMEDIATE, devices_of
from xtreme_dag.wiring.lineage import adapter_libraries, model_inputs
from xtreme_dag.wiring.tables import Raw

# Head and labels; heads of the same spec are interchangeable.
Spec = tuple[str, tuple[str, ...]]


class Mixing(Adding):
    """Adds the stages of intermediate training.

    Attributes:
        notes: what a reader of the plan should know.
    """

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.notes: dict[str, None] = {}

    def train(self, name: str, condition: Condition, seed: int, base: Input) -> Input:
        """Adds a condition's steps; without any, the base model itself goes on."""
        start = base
        for number, step in enumerate(condition.steps):
            where = f"intermediate.{name}" + (f".then.{number - 1}" if number else "")
            label = name if not number else f"{name} > {number + 1}"
            start = Output(stage=self._step(label, step, seed, start, where, condition=name, number=number + 1).name)
        return start

    def specs(self, step: Step) -> list[Spec]:
        """The heads that a step leaves in the model."""
        return [self._spec(group[0]) for group in tasks_of(step)]

    def _spec(self, component: Component) -> Spec:
        dataset = self._catalogue.dataset(component.dataset)
        head = head_of(TEXT_HEAD) if component.objective else head_of_format(dataset.format)
        if head is None:  # no intermediate task; `_raw` says so
            return dataset.format, ()
        return head.name, dataset.labels if head.labels else ()

    def _step(
        self, label: str, step: Step, seed: int, start: Input, where: str, *, condition: str, number: int
    ) -> Stage:
        assert step.budget is not None
        inputs: dict[str, Input] = model_inputs(self._graph, start)
        recipe = {
            **self._recipe.settings("intermediate", *recipe_groups(step, self.specs(step))),
            **checked_settings(step.recipe, f"{where}.recipe"),
        }
        mixture = [self._task(group, step, inputs, where) for group in tasks_of(step)]
        heads, controlled = [head_of(task["head"]) for task in mixture], step.control is not None
        if recipe.get("select_every"):
            for group in tasks_of(step):
                self._select(group[0], inputs)
        optional: dict[str, Any] = {
            "sampling": step.sampling.params() if step.sampling else None,
            "repeat": step.repeat,
            "keep_heads": step.keep_heads,
        }
        return self._graph.add(
            Stage(
                of=INTERMEDIATE,
                name=f"intermediate[{label} | seed {seed}]",
                function="xtreme_dag.training.stages:intermediate",
                code=tuple(dict.fromkeys(name for head in heads for name in head.train_code(control=controlled))),
                params={
                    "seed": seed,
                    "mixture": mixture,
                    "budget": step.budget.params(),
                    "control": step.control,
                    "items": step.items,
                    "recipe": recipe,
                    # Only if set, so that an option changes no key of a study that does not use it.
                    **{key: value for key, value in optional.items() if value},
                },
                inputs=inputs,
                more_libraries=(
                    *dict.fromkeys(name for head in heads for name in head.libraries),
                    *adapter_libraries(inputs, f"{where}: lora", recipe),
                ),
                devices=devices_of({"recipe": recipe}),
                step=number,
                labels={"condition": condition, "seed": seed},
            )
        )

    def _task(self, group: Sequence[Component], step: Step, inputs: dict[str, Input], where: str) -> dict[str, Any]:
        """An entry of the stage's mixture: one head, and the tables that it learns from."""
        specs = {self._spec(component) for component in group}
        if len(specs) > 1:
            raise UserError(
                f"the datasets of task {group[0].head_name!r} cannot share a head",
                where=where, fix=f"they need {' and '.join(_spelt(spec) for spec in sorted(specs))}",
            )  # fmt: skip
        head, labels = next(iter(specs))
        sampling = next((component.sampling for component in group if component.sampling), None)
        if any(component.sampling != sampling for component in group):
            raise UserError(f"task {group[0].head_name!r} has two sampling rules", where=where)
        total = sum(component.share for component in group)
        parts: list[dict[str, Any]] = []
        for component in group:
            for language, share in component.shares().items():
                raw = self._raw(component, language, where)
                masked = "second" if component.objective and component.objective.name == "response" else ""
                stage = self._tables.encode(raw, head, component.dataset, self._tokenizer, masked=masked)
                inputs[f"train/{component.label}/{raw.language}"] = Output(stage=stage.name)
                stated = share if len(group) == 1 else share * component.share / total
                part = {"dataset": component.label, "language": raw.language, "share": None if sampling else stated}
                origin = self._origin(component, language)
                parts.append({**part, "items_of": origin} if origin else part)
        return {
            "task": group[0].head_name,
            "head": head,
            "labels": list(labels),
            "share": None if step.sampling else total,
            "parts": parts,
            **({"sampling": sampling.params()} if sampling else {}),
        }

    def _origin(self, component: Component, language: str) -> str | None:
        """The dataset whose ids a part has, where it is not its own.

        Ids that are row numbers do not identify translations: each language of such a dataset has items of its own. In
        the miniworld equal ids have equal meanings in every language.
        """
        if component.items_of is not None:
            return component.items_of
        if component.translated is not None:
            return component.dataset
        native = not self._catalogue.dataset(component.dataset).parallel
        if native and language != ENGLISH and self._tables.source.kind != "miniworld":
            return f"{component.dataset}/{language}"
        return None

    def _raw(self, component: Component, language: str, where: str) -> Raw:
        """Adds a component's canonical table in a language.

        Raises:
            UserError: it is not there, or may not be trained on.
        """
        dataset = self._catalogue.dataset(component.dataset)
        declared = dataset.split(component.split)
        if declared.use != "train":
            what = "a test split" if declared.use == "test" else "a split to select on"
            trains = [split.name for split in dataset.splits.values() if split.use == "train"]
            raise UserError(
                f"{dataset.name} {component.split} is {what}: nothing may be trained on it", where=where,
                fix=f"to train on: {', '.join(trains) or 'nothing of this dataset'}",
            )  # fmt: skip
        if component.objective is None and head_of_format(dataset.format) is None:
            raise UserError(f"{dataset.name} ({dataset.format}) cannot be an intermediate task", where=where)
        if component.items_of is not None:
            self._catalogue.dataset(component.items_of)
        ref = TableRef(dataset=dataset.name, split=component.split)
        if component.translated is not None:
            return self._derived.translated(ref, language, component.translated, where)
        available = self._tables.languages(dataset, component.split)
        if language not in available:
            have = f"it has: {' '.join(available)}" if available else dataset.get
            raise UserError(
                f"{dataset.name} {component.split} has no language {language!r} here", where=where, fix=have
            )
        if component.objective is not None:
            return self._derived.text(ref, language, component.objective, where)
        return self._tables.canonical(ref, language)

    def _select(self, component: Component, inputs: dict[str, Input]) -> None:
        """Adds English dev of a task with labels, to select the checkpoint on."""
        head = head_of(self._spec(component)[0])
        if head.from_text:
            return
        dataset = self._catalogue.dataset(component.dataset)
        split = next((split.name for split in dataset.splits.values() if split.use == "select"), None)
        if split is None or ENGLISH not in self._tables.languages(dataset, split):
            self.notes[f"{dataset.name}: no English dev here, so its intermediate training selects nothing"] = None
            return
        ref = TableRef(dataset=dataset.name, split=split)
        raw = self._tables.canonical(ref, ENGLISH)
        # An open label set is that of the training data.
        train = TableRef(dataset=dataset.name, split=component.split)
        labels_of = self._tables.canonical(train, ENGLISH) if head.open_set and not dataset.labels else None
        stage = self._tables.encode(raw, head.name, dataset.name, self._tokenizer, labels_of=labels_of)
        inputs[f"select/{component.label}"] = Output(stage=stage.name)


def tasks_of(step: Step) -> list[list[Component]]:
    """A step's components by task, in the order in which the tasks are first named."""
    order = list(dict.fromkeys(component.head_name for component in step.mixture))
    ranked = sorted(step.mixture, key=lambda component: order.index(component.head_name))
    return [list(group) for _, group in groupby(ranked, key=lambda component: component.head_name)]


def recipe_groups(step: Step, specs: Sequence[Spec]) -> tuple[str, ...]:
    """The groups of a recipe's section `intermediate` that hold for a step.

    One task: its head and its name. Several: `multi`, and `multi_<head>` over it for each head whose gold is the text
    itself (`multi_mlm`).
    """
    groups = tasks_of(step)
    if len(groups) == 1:
        return specs[0][0], groups[0][0].head_name
    return ("multi", *(f"multi_{head.name}" for head in HEADS.values() if head.from_text and head.name in dict(specs)))


def _spelt(spec: Spec) -> str:
    head, labels = spec
    return f"{head} ({', '.join(labels)})" if labels else head


def kept_head(targets: Mapping[str, Spec], condition: Condition, specs: Sequence[Spec], where: str) -> None:
    """Checks that heads which a condition keeps are there.

    Raises:
        UserError: a target is not in the study, or no head of the last step has its kind and labels.
    """
    for name in condition.keep_head:
        if name not in targets:
            raise UserError(f"{name!r} is not among the targets", where=where, fix=f"targets: {', '.join(targets)}")
        if targets[name] not in specs:
            raise UserError(
                f"{name} needs the head {_spelt(targets[name])}", where=where,
                fix=f"the condition leaves {'; '.join(_spelt(spec) for spec in specs)}: a head is kept where its shape and meaning match",
            )  # fmt: skip
