"""Adds the stages of target training: in the source language of each condition, and what it adds in others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xtreme_dag.catalogue.catalogue import TableRef, Task
from xtreme_dag.core.english import ENGLISH
from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.graph import Output, Stage
from xtreme_dag.heads import head_of
from xtreme_dag.study.conditions import Condition
from xtreme_dag.study.recipe_settings import trials_of
from xtreme_dag.study.sections import Translation
from xtreme_dag.wiring.adding import Adding, Input
from xtreme_dag.wiring.grids import add_trials, choice_name, with_choice
from xtreme_dag.wiring.kinds import TARGET, devices_of
from xtreme_dag.wiring.lineage import adapter_libraries, model_inputs
from xtreme_dag.wiring.tables import Raw

# English datasets -> where their machine translations were released (translate-train), in order of preference.
RELEASED = {
    "mnli": ("xnli",),
    "squad_v1": ("mlqa_translate_train", "squad_es"),
    "squad_v2": ("squad_es_v2",),
}


class Targets(Adding):
    """Adds the stages of target training.

    Args:
        parts: as of `Adding`.
        examples: task -> the table that its target-language examples are from, where the study names one; None for a
            task that is to have none.
        first: the seed whose trials choose for all, where a grid does not say otherwise.
    """

    def __init__(self, *parts: Any, examples: Mapping[str, TableRef | None], first: int) -> None:
        super().__init__(*parts)
        self._examples = examples
        self._leading = first
        self._few_from: dict[tuple[str, TableRef], dict[str, None]] = {}

    def train(self, task: Task, name: str, condition: Condition, seed: int, start: Input, language: str) -> Input:
        """Adds target training in a language; for a task without training data the model stays as it is.

        A task that is trained twice (XCOPA: Social IQa, then COPA) keeps its head.
        """
        if task.train is None:
            return start
        keep = task.name in condition.keep_head
        for ref in (*task.before, task.train):
            start = self._stage(task, ref, name, condition, seed, start, language, keep=keep)
            keep = True
        return start

    def _stage(
        self, task: Task, ref: TableRef, name: str, condition: Condition, seed: int, start: Input, language: str,
        *, keep: bool,
    ) -> Input:  # fmt: skip
        last = ref == task.train
        head_name = task.name if last else ref.dataset
        label = task.name if last else f"{task.name} < {ref.dataset}"
        recipe = self._recipe.settings("target", task.head, head_name)
        grid, grid_seeds = recipe.pop("grid", None), recipe.pop("grid_seeds", "first")
        trials = trials_of(grid) if grid and last else []  # what comes before has no dev data to choose on
        examples = recipe.pop("examples", None)
        # Few examples are luck: drawn per seed, it is in what seeds differ by, and so in the interval.
        draw = None if recipe.pop("same_examples", False) else seed
        raw = self._source(ref, language, condition.source_translated, f"{task.name}: source_language")
        train = self._tables.encode(raw, task.head, head_name, self._tokenizer, examples=examples, draw=draw)
        inputs: dict[str, Input] = {**model_inputs(self._graph, start), "train": Output(stage=train.name)}
        labels = list(self._catalogue.dataset(ref.dataset).labels)
        # An open label set is that of the data in the source language.
        labels_of = raw if head_of(task.head).open_set and not labels else None
        chooses = trials and (grid_seeds == "all" or seed == self._leading)
        if chooses and task.select is None:
            raise UserError("has no dev data to choose on", where=f"recipe.target: grid of {task.name}")
        if last and task.select is not None and (chooses or recipe.get("select_every")):
            select = self._select(task.select, language)
            dev = self._tables.encode(select, task.head, head_name, self._tokenizer, labels_of=labels_of)
            inputs["select"] = Output(stage=dev.name)
        parts: dict[str, dict[str, Any]] = {}
        for further, count in self._further(task, ref, condition):
            few = count is not None
            table = self._tables.encode(
                further, task.head, head_name, self._tokenizer, examples=count if few else examples, draw=draw,
                apart=few, labels_of=labels_of,
            )  # fmt: skip
            called = f"train/{further.dataset}/{further.language}"
            inputs[called] = Output(stage=table.name)
            parts[called] = {"dataset": further.dataset, **({"examples": count} if few else {})}
        params: dict[str, Any] = {
            "seed": seed, "task": head_name, "dataset": raw.dataset, "head": task.head, "labels": labels, "recipe": recipe,
            **({"keep_head": True} if keep else {}), **({"further": parts} if parts else {}),
        }  # fmt: skip
        stage = Stage(
            of=TARGET,
            name=f"target[{label} | {name} | seed {seed}]",
            function="xtreme_dag.training.stages:target",
            code=head_of(task.head).train_code(),
            params=params,
            inputs=inputs,
            more_libraries=(
                *head_of(task.head).libraries,
                *adapter_libraries(inputs, f"recipe.target: lora of {task.name}", recipe),
            ),
            devices=devices_of(params),
            labels={"condition": name, "seed": seed, "task": task.name},
        )
        if trials:
            where = f"recipe.target: grid of {task.name}"
            stage = (
                add_trials(self._graph, stage, trials, where)
                if chooses
                else with_choice(stage, choice_name(stage, self._leading), trials, where)
            )
        return Output(stage=self._graph.add(stage).name)

    def _further(self, task: Task, ref: TableRef, condition: Condition) -> Iterator[tuple[Raw, int | None]]:
        """The tables in other languages that a condition adds to a split, and how many examples of each; None: as many.

        Few examples are added to the last training alone, and only of what is for training or for selection.
        """
        told = condition.target
        if told is None:
            return
        for language in told.languages:
            yield self._source(ref, language, told.translated, f"{task.name}: target.languages"), None
        if ref != task.train or (task.name in self._examples and self._examples[task.name] is None):
            return
        for language, count in told.examples.items():
            yield self._few(task, language), count

    def _few(self, task: Task, language: str) -> Raw:
        """The table that few examples in a language are from.

        The training split of the task, else of the dataset that it is tested on, else a released translation; where
        none has the language, a dev split. Never a split that anything is tested on.

        Raises:
            UserError: there is none; lists the languages that have one.
        """
        named = self._examples.get(task.name)
        candidates = [named] if named is not None else self._suppliers(task)
        found = self._first(candidates, language)
        if found is None:
            languages = dict.fromkeys(code for each in candidates for code in self._languages(each))
            raise UserError(
                f"{task.name} has no examples in {language!r} for training: no training or dev split, and what is tested "
                "is never trained on", where="intermediate: target.examples",
                fix=f"languages that have some: {' '.join(languages) or 'none'}; "
                f"targets.{task.name}.examples names another table, or `none`",
            )  # fmt: skip
        self._few_from.setdefault((task.name, found), {})[language] = None
        return self._tables.canonical(found, language)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the plan should know: where target-language examples are from."""
        return tuple(
            f"{task}: target-language examples ({' '.join(codes)}) are from {ref.dataset} {ref.split}"
            for (task, ref), codes in self._few_from.items()
        )

    def _suppliers(self, task: Task) -> list[TableRef]:
        """Tables with labelled examples of a task that may be learnt from, those for training first."""
        assert task.train is not None
        test = self._catalogue.dataset(task.test.dataset)
        refs = [task.train, *([task.select] if task.select else [])]
        refs += [TableRef(dataset=test.name, split=name) for name in test.splits]
        refs += _supplies(task.train)[1:]
        fit = [
            ref for ref in dict.fromkeys(refs)
            if ref.split in (there := self._catalogue.dataset(ref.dataset)).splits
            and there.split(ref.split).labelled and (there.format, there.labels) == (test.format, test.labels)
        ]  # fmt: skip
        uses = {ref: self._catalogue.dataset(ref.dataset).split(ref.split).use for ref in fit}
        return [ref for use in ("train", "select") for ref in fit if uses[ref] == use]

    def _source(self, ref: TableRef, language: str, translation: Translation | None, where: str) -> Raw:
        """The training table in a language: the dataset's own, a released translation, or one made here.

        Raises:
            UserError: there is none; lists the languages that have one.
        """
        if translation is not None:
            return self._derived.translated(ref, language, translation, where)
        found = self._in_language(ref, language)
        if found is None:
            languages = dict.fromkeys(code for each in _supplies(ref) for code in self._languages(each))
            raise UserError(
                f"{ref.dataset} {ref.split} is not here in {language!r}, nor a release of its translation",
                where=where, fix=f"languages that have it: {' '.join(languages) or 'none'}; or set source_translated",
            )  # fmt: skip
        return self._tables.canonical(found, language)

    def _select(self, ref: TableRef, language: str) -> Raw:
        """Adds dev data in the source language, else in English: a language for evaluation only is never selected on."""
        found = self._in_language(ref, language)
        return self._tables.canonical(found, language) if found else self._tables.canonical(ref, ENGLISH)

    def dev(self, task: Task, language: str) -> tuple[TableRef, str] | None:
        """The dev split that all conditions are evaluated on, so that they can be compared without test, and its language.

        It is the task's dev data in the study's source language, else in English; None if there are none, or if they
        are missing while test is there: a study does not need dev data.
        """
        if task.select is None:
            return None
        pairs = [(self._in_language(task.select, code), code) for code in dict.fromkeys((language, ENGLISH))]
        found = [(ref, code) for ref, code in pairs if ref is not None]
        there = [(ref, code) for ref, code in found if code in self._there(ref)]
        planned = [] if self._there(task.test) else found
        return next(iter([*there, *planned]), None)

    def _in_language(self, ref: TableRef, language: str) -> TableRef | None:
        """The first dataset that has a split in a language: one that is there, else one that is missing."""
        return self._first(_supplies(ref), language)

    def _first(self, candidates: Sequence[TableRef], language: str) -> TableRef | None:
        """The first table that is there in a language, else the first that could be."""
        supplies = [each for each in candidates if language in self._languages(each)]
        there = (each for each in supplies if language in self._there(each))
        return next(there, supplies[0] if supplies else None)

    def _there(self, ref: TableRef) -> tuple[str, ...]:
        return self._tables.source.languages(self._catalogue.dataset(ref.dataset), ref.split)


def _supplies(ref: TableRef) -> list[TableRef]:
    """A split, and the same split of the datasets that translate it."""
    return [ref, *(TableRef(dataset=name, split=ref.split) for name in RELEASED.get(ref.dataset, ()))]
