"""The data half of a graph: `prepare`, `check` and `encode` of each table that a study needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import xtreme_dag
from xtreme_dag.benchmark.catalogue import Catalogue, Dataset, TableRef
from xtreme_dag.data.sources import Source as DataSource
from xtreme_dag.data.sources import open_source
from xtreme_dag.recipe import Recipe
from xtreme_dag.stages.graph import Graph, Output, Source, Stage
from xtreme_dag.study import Study

# The head that a dataset is trained with when it is an intermediate task.
HEAD_OF_FORMAT = {
    "pair_classification": "classification",
    "multiple_choice": "multiple_choice",
    "tagging": "tagging",
    "span_qa": "span",
    "plain_text": "mlm",
    "parallel_text": "mlm",
}
_TABLES = ("pyarrow",)
_TOKENS = ("pyarrow", "tokenizers", "transformers")
_LIMIT_SEED = 0
_CONTRACTS = Path(xtreme_dag.__file__).parent.parent / "data_contracts"


def open_data(study: Study) -> DataSource:
    """The source that a study names.

    Raises:
        UserError: the folder is missing, or a setting is wrong.
    """
    data = study.data
    if data.miniworld is not None:
        world = data.miniworld
        rows = {"train": world.train, "select": world.select, "test": world.test}
        return open_source("miniworld", {"seed": world.seed, "rows": rows, "languages": list(world.languages) or None})
    if data.folder is not None:
        return open_source("folder", {"path": data.folder})
    return open_source("hub", dict(data.hub or {}))


class Tables:
    """Adds the stages of tables to a graph, each once.

    Attributes:
        stand_ins: table -> what it really is where it only stands in for a split.
    """

    def __init__(self, study: Study, graph: Graph, catalogue: Catalogue, recipe: Recipe) -> None:
        self.source = open_data(study)
        self.stand_ins: dict[str, str] = {}
        self._study = study
        self._graph = graph
        self._catalogue = catalogue
        self._recipe = recipe

    def prepared(self, dataset: Dataset, language: str, split: str) -> Stage:
        """Adds `prepare` and, where the dataset has a contract, `check` of a table; returns the former."""
        declared = dataset.split(split)
        located = self.source.locate(dataset, language, split)
        label = f"{dataset.name} | {language} | {split}"
        if located.stand_in:
            self.stand_ins[label] = located.stand_in
        limit = self._study.data.limit.of(dataset.name, declared.use, split)
        facts = {"dataset": dataset.name, "language": language, "split": split}
        content = {"format": dataset.format, "labels": list(dataset.labels), "limit": limit, "limit_seed": _LIMIT_SEED}
        prepare = self._graph.add(
            Stage(
                kind="prepare",
                name=f"prepare[{label}]",
                function="xtreme_dag.data.prepare:prepare",
                params={**located.params, **facts, **content},
                inputs={name: Source(path=path) for name, path in sorted(located.files.items())},
                libraries=_TABLES,
                options=located.options,
                labels={**facts, "use": declared.use},
            )
        )
        contract = _CONTRACTS / f"{dataset.name}.odcs.yaml"
        if self._study.data.contracts and contract.is_file():
            self._graph.add(
                Stage(
                    kind="check",
                    name=f"check[{label}]",
                    function="xtreme_dag.data.contracts.check:check",
                    params={**facts, "source": self.source.kind, "limit": limit},
                    inputs={"table": Output(stage=prepare.name), "contract": Source(path=contract)},
                    libraries=("great-expectations", "pyarrow"),
                    gate=True,
                    labels=facts,
                )
            )
        return prepare

    def gates(self, prepare: Stage) -> tuple[str, ...]:
        """Names of the checks that must pass before a table is used."""
        check = prepare.name.replace("prepare[", "check[", 1)
        return (check,) if check in self._graph else ()

    def encoded(
        self,
        ref: TableRef,
        language: str,
        head: str,
        task: str,
        tokenizer: Source | Output,
        *,
        examples: int | None = None,
    ) -> Stage:
        """Adds `encode` of a table, and what it needs.

        Args:
            ref: dataset and split.
            language: of the table.
            head: the head that the sequences are for.
            task: the task whose settings (lengths) hold.
            tokenizer: of the pretrained encoder.
            examples: number of examples to keep; None for all.
        """
        dataset = self._catalogue.dataset(ref.dataset)
        prepare = self.prepared(dataset, language, ref.split)
        label = [dataset.name, language, ref.split]
        label += [head] if head != HEAD_OF_FORMAT.get(dataset.format, head) else []
        label += [f"{examples} examples"] if examples is not None else []
        stage = Stage(
            kind="encode",
            name=f"encode[{' | '.join(label)}]",
            function="xtreme_dag.data.encode:encode",
            params={
                "format": dataset.format,
                "head": head,
                "labels": list(dataset.labels) if head in ("classification", "tagging") else [],
                **self._recipe.settings("encode", head, task),
                "limit": examples,
                "limit_seed": _LIMIT_SEED if examples is not None else None,
            },
            inputs={"table": Output(stage=prepare.name), "tokenizer": tokenizer},
            after=self.gates(prepare),
            libraries=_TOKENS,
            labels={"dataset": dataset.name, "language": language, "split": ref.split},
        )
        if stage.name in self._graph and self._graph[stage.name] != stage:
            # The same table at other lengths (another task's recipe): both are wanted, under two names.
            stage = replace(stage, name=f"encode[{' | '.join([*label, task])}]")
        return self._graph.add(stage)
