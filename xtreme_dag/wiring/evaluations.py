"""Adds the stages of evaluation; for retrieval also the threshold from dev and the search of a multilingual pool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xtreme_dag import formats
from xtreme_dag.catalogue.catalogue import TableRef, Task
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.engine.graph import Output, Stage
from xtreme_dag.heads import head_of
from xtreme_dag.study.sections import Translation
from xtreme_dag.wiring.adding import Adding, Input
from xtreme_dag.wiring.entry import RANK_POOL, entry
from xtreme_dag.wiring.kinds import EVALUATE, SEARCH
from xtreme_dag.wiring.lineage import adapter_libraries, model_inputs

# The fields of a format that an evaluation uses, of those whose examples hang together.
_GROUPED = ("cluster", "cluster_if_asked")


class Evaluations(Adding):
    """Adds the stages of evaluation."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._as_they_are: dict[tuple[str, TableRef, str], Stage] = {}

    def trained_for(self, task: Task) -> Task:
        """The task whose training makes the model that a task is evaluated with.

        A task of bitext retrieval trains nothing: the bare encoder embeds, or, where the recipe's `model_of` names
        another task, the model of that one (XTREME-R's Tatoeba takes one that was trained on SQuAD).

        Raises:
            UserError: `model_of` names no task that is trained.
        """
        name = self._settings(task).get("model_of")
        if name is None or task.train is not None:
            return task
        trained = [other.name for other in self._catalogue.tasks.values() if other.train is not None]
        if name not in trained:
            where = f"recipe.evaluate: model_of of {task.name}"
            raise UserError(f"no target task {name!r} that is trained", where=where, fix=nearest(str(name), trained))
        return self._catalogue.task(str(name))

    def add(
        self, task: Task, ref: TableRef, language: str, condition: str, seed: int, model: Input,
        translated: tuple[Translation, str] | None = None,
    ) -> Stage:  # fmt: skip
        """Adds the evaluation of a model on a split in one language, and the stages that it depends on.

        Args:
            task: the task.
            ref: the split.
            language: of the split.
            condition, seed: of the model.
            model: what is evaluated.
            translated: how the split is translated, and into which language; None to evaluate it as it is.
        """
        dataset = self._catalogue.dataset(ref.dataset)
        facts = {"task": task.name, "dataset": dataset.name, "language": language, "split": ref.split}
        where = language if ref == task.test else f"{language} {ref.split}"
        head, format = head_of(task.head), formats.get(dataset.format)
        encoded = self._encoded(task, ref, language, translated)
        inputs: dict[str, Input] = {
            **model_inputs(self._graph, model), "encoded": Output(stage=encoded.name), "table": encoded.inputs["table"],
            **self._calibration(task, ref, language, condition, seed, model),
            **self._ranked(task, ref, language, condition, seed, model),
        }  # fmt: skip
        return self._graph.add(
            Stage(
                of=EVALUATE,
                name=f"evaluate[{task.name} | {where} | {condition} | seed {seed}]",
                function=entry(dataset.format, dataset.name, task.head),
                code=(*head.score_code, *task.metrics),
                params={
                    **facts,
                    "head": task.head,
                    "labels": list(dataset.labels),
                    "metric": task.metric,
                    **({"metrics": list(task.metrics)} if task.metrics else {}),
                    "recipe": self._params(task),
                    **({"declared": format.facts(*_GROUPED)} if format.cluster else {}),
                },
                inputs=inputs,
                more_libraries=(*head.libraries, *adapter_libraries(inputs, "recipe: lora")),
                labels={**facts, "condition": condition, "seed": seed},
            )
        )

    def _settings(self, task: Task) -> dict[str, Any]:
        return self._recipe.settings("evaluate", task.head, task.name)

    def _params(self, task: Task) -> dict[str, Any]:
        # `model_of` chooses the input `model`, whose digest is in the key.
        return {name: value for name, value in self._settings(task).items() if name != "model_of"}

    def _encoded(
        self, task: Task, ref: TableRef, language: str, translated: tuple[Translation, str] | None = None
    ) -> Stage:
        """Adds `encode`; a retrieval pool is encoded row by row, also for a head that is trained on pairs."""
        head = "embedding" if self._pooled(ref) else task.head
        if translated is None or translated[1] == language:
            known = (task.name, ref, language)  # each condition and seed asks for it
            if known not in self._as_they_are:
                raw = self._tables.canonical(ref, language)
                self._as_they_are[known] = self._tables.encode(raw, head, task.name, self._tokenizer)
            return self._as_they_are[known]
        translation, into = translated
        raw = self._derived.test(ref, language, into, translation, f"{task.name}: test_translated")
        return self._tables.encode(raw, head, task.name, self._tokenizer)

    def _calibration(
        self, task: Task, ref: TableRef, language: str, condition: str, seed: int, model: Input
    ) -> Mapping[str, Input]:
        """Bitext mining: the evaluation of dev, which chooses the threshold for test."""
        sides = formats.get(self._catalogue.dataset(ref.dataset).format).sides
        if sides is None or sides.always_gold or task.select is None or ref == task.select:
            return {}
        if language not in self._languages(task.select):
            return {}
        return {"calibration": Output(stage=self.add(task, task.select, language, condition, seed, model).name)}

    def _ranked(
        self, task: Task, ref: TableRef, language: str, condition: str, seed: int, model: Input
    ) -> Mapping[str, Input]:
        """Pooled retrieval: one search for the questions of all languages among the candidates of all languages.

        The pool has all languages of the source, whatever languages the study reports, so that a score does not depend on
        them. A split that is not the benchmark's (English dev) is a pool of its own.
        """
        if not self._pooled(ref):
            return {}
        part = task.name if ref == task.test else f"{task.name} | {language} {ref.split}"
        name = f"search[{part} | {condition} | seed {seed}]"
        ranked = {"ranked": Output(stage=name)}
        if name in self._graph:  # the evaluation of the first language has added it
            return ranked
        inputs: dict[str, Input] = model_inputs(self._graph, model)
        for code in self._languages(ref) if ref == task.test else (language,):
            encoded = self._encoded(task, ref, code)
            inputs |= {f"encoded:{code}": Output(stage=encoded.name), f"table:{code}": encoded.inputs["table"]}
        self._graph.add(
            Stage(
                of=SEARCH,
                name=name,
                function=RANK_POOL,
                code=head_of(task.head).score_code,
                params={"task": task.name, "recipe": self._params(task)},
                inputs=inputs,
                more_libraries=adapter_libraries(inputs, "recipe: lora"),
                labels={"task": task.name, "condition": condition, "seed": seed, "split": ref.split},
            )
        )
        return ranked

    def _pooled(self, ref: TableRef) -> bool:
        sides = formats.get(self._catalogue.dataset(ref.dataset).format).sides
        return sides is not None and sides.pooled
