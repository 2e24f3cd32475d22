"""Adds the stages of target training, in the source language of each condition."""

from __future__ import annotations

from typing import Any

from xtreme_dag.catalogue.catalogue import TableRef, Task
from xtreme_dag.core.english import ENGLISH
from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.graph import Output, Stage
from xtreme_dag.heads import head_of
from xtreme_dag.study.conditions import Condition, Translation
from xtreme_dag.study.recipe_settings import trials_of
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
        parts: as for `Adding`.
        first: the seed whose trials choose for all, where a grid does not say otherwise.
    """

    def __init__(self, *parts: Any, first: int) -> None:
        super().__init__(*parts)
        self._first = first

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
        chooses = trials and (grid_seeds == "all" or seed == self._first)
        if chooses and task.select is None:
            raise UserError("has no dev data to choose on", where=f"recipe.target: grid of {task.name}")
        if last and task.select is not None and (chooses or recipe.get("select_every")):
            select = self._select(task.select, language)
            inputs["select"] = Output(stage=self._tables.encode(select, task.head, head_name, self._tokenizer).name)
        labels = list(self._catalogue.dataset(ref.dataset).labels)
        params: dict[str, Any] = {
            "seed": seed, "task": head_name, "dataset": raw.dataset, "head": task.head, "labels": labels, "recipe": recipe,
            **({"keep_head": True} if keep else {}),
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
                else with_choice(stage, choice_name(stage, self._first), trials, where)
            )
        return Output(stage=self._graph.add(stage).name)

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
        supplies = [each for each in _supplies(ref) if language in self._languages(each)]
        there = (each for each in supplies if language in self._there(each))
        return next(there, supplies[0] if supplies else None)

    def _there(self, ref: TableRef) -> tuple[str, ...]:
        return self._tables.source.languages(self._catalogue.dataset(ref.dataset), ref.split)


def _supplies(ref: TableRef) -> list[TableRef]:
    """A split, and the same split of the datasets that translate it."""
    return [ref, *(TableRef(dataset=name, split=ref.split) for name in RELEASED.get(ref.dataset, ()))]
