"""Adds the stages of tables: `prepare`, `check` and `encode`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xtreme_dag import formats
from xtreme_dag.catalogue.catalogue import Catalogue, Dataset, Split, TableRef, load_catalogue
from xtreme_dag.catalogue.sources import Located, open_source
from xtreme_dag.catalogue.sources import Source as DataSource
from xtreme_dag.catalogue.sources.folder import Folders
from xtreme_dag.contracts.odcs import contract_file
from xtreme_dag.contracts.usual import usual
from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.graph import Graph, Output, Source, Stage
from xtreme_dag.heads import head_of, head_of_format
from xtreme_dag.study.file import Study
from xtreme_dag.study.recipe import Recipe
from xtreme_dag.wiring.absent import NoSource, absent
from xtreme_dag.wiring.kinds import CHECK, ENCODE, PREPARE

# The fields of a format that a stage uses; it looks the format up by name, so these are among its parameters.
_PREPARED = ("columns", "label", "choices", "counted", "cluster", "cluster_if_asked", "sides", "generator")
_CHECKED = ("columns", "sides", "shown", "compared", "texts", "read", "shared")
_ENCODED = ("sides",)
_LIMIT_SEED = 0
# Added to the seed of a draw of few examples beside others: they are not the translations of those.
_APART = 1_000_003


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
    if data.own:
        return Folders([])
    if data.folder is not None or data.folders:
        of = data.folders if isinstance(data.folders, Mapping) else {}
        several = [*([data.folder] if data.folder is not None else []), *(() if of else data.folders)]
        for name in of:
            load_catalogue().dataset(name)
        where = "data.folders" if data.folders else "data.folder"
        try:
            if not data.folders:
                return open_source("folder", {"path": data.folder})
            return Folders([Path(each) for each in several], {name: Path(each) for name, each in of.items()})
        except UserError as error:
            fix = f"name it with --set {where}=PATH; `xtreme-dag plan` lists what is missing and how to get it"
            raise UserError(error.what, where=where, fix=fix) from None
    return open_source("hub", dict(data.hub or {}))


def prepare_stage(dataset: Dataset, language: str, split: Split, located: Located, *, limit: int | None) -> Stage:
    """The stage that makes a canonical table of raw files.

    Args:
        dataset: the catalogue's entry.
        language: ISO code.
        split: the catalogue's entry.
        located: where its source has it.
        limit: rows of a sample; None for all.
    """
    facts = {"dataset": dataset.name, "language": language, "split": split.name}
    content = {"format": dataset.format, "labels": list(dataset.labels), "limit": limit, "limit_seed": _LIMIT_SEED}
    declared = formats.get(dataset.format).facts(*_PREPARED)
    return Stage(
        of=PREPARE,
        name=f"prepare[{dataset.name} | {language} | {split.name}]",
        function="xtreme_dag.data.prepare.prepare:prepare",
        params={**located.params, **facts, **content, "declared": declared},
        inputs={name: Source(path=path) for name, path in sorted(located.files.items())},
        options=located.options,
        labels={**facts, "use": split.use},
    )


def check_stage(prepare: Stage, dataset: Dataset, *, source: str) -> Stage:
    """The stage that checks a prepared table against its contract, or the usual rules of its format.

    Args:
        prepare: of `prepare_stage`.
        dataset: the catalogue's entry.
        source: kind of the source of its raw files.
    """
    path = contract_file(dataset)
    contract: dict[str, Any] = {} if path else {"contract": usual(dataset)}
    source = "folder" if dataset.folder else source
    facts = {name: prepare.params[name] for name in ("dataset", "language", "split")}
    declared = formats.get(prepare.params["format"]).facts(*_CHECKED)
    return Stage(
        of=CHECK,
        name=f"check[{' | '.join(facts.values())}]",
        function="xtreme_dag.contracts.check:check",
        params={**facts, "source": source, "limit": prepare.params["limit"], "declared": declared, **contract},
        inputs={"table": Output(stage=prepare.name), **({"contract": Source(path=path)} if path else {})},
        gates=prepare.name,
        labels=facts,
    )


@dataclass(frozen=True, kw_only=True)
class Raw:
    """A canonical table in the graph.

    Attributes:
        stage: the stage that makes it.
        dataset: the dataset that it is or was made of.
        format: its canonical format.
        language: its language; of parallel text the two (`de+en`).
        split: its split.
        labels: the dataset's label set; empty where it is open.
        made: what was made of the dataset, for names; empty for the dataset itself.
        gates: the checks that must pass before it is used.
    """

    stage: str
    dataset: str
    format: str
    language: str
    split: str
    labels: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()


class Tables:
    """Adds the stages of tables to a graph, each once.

    Args:
        study: the study.
        graph: receives the stages.
        catalogue: all datasets and tasks.
        recipe: lengths of sequences.
        absent: add placeholders for missing tables instead of raising.

    Attributes:
        source: where raw data come from.
        stand_ins: table -> what its data really are, where they stand in for those of a split.
        absent: stage -> why its data are missing.
    """

    def __init__(
        self, study: Study, graph: Graph, catalogue: Catalogue, recipe: Recipe, *, absent: bool = False
    ) -> None:
        self.source = _opened(study) if absent else open_data(study)
        self.stand_ins: dict[str, str] = {}
        self.absent: dict[str, str] = {}
        self._allowed = absent and self.source.kind != "miniworld"
        self._study = study
        self._graph = graph
        self._catalogue = catalogue
        self._recipe = recipe

    def languages(self, dataset: Dataset, split: str) -> tuple[str, ...]:
        """Languages of a split that can be planned with: those that are there, or all where data may be missing."""
        return dataset.split(split).languages if self._allowed else self.source.languages(dataset, split)

    def prepared(self, dataset: Dataset, language: str, split: str, *, check: bool = True) -> Stage:
        """Adds `prepare` and `check` of a table; returns the former.

        Args:
            dataset, language, split: the table.
            check: False for a table that is only looked at beside others.

        Raises:
            UserError: the table is not there.
        """
        declared = dataset.split(split)
        label = f"{dataset.name} | {language} | {split}"
        try:
            located = self.source.locate(dataset, language, split)
        except UserError as error:
            if not self._allowed:
                raise
            facts = {"dataset": dataset.name, "language": language, "split": split}
            stage, self.absent[f"prepare[{label}]"] = absent(PREPARE, f"prepare[{label}]", facts, error)
            return self._graph.add(stage)
        if located.stand_in:
            self.stand_ins[label] = located.stand_in
        limit = self._study.data.limit.of(dataset.name, declared.use, split)
        prepare = self._graph.add(prepare_stage(dataset, language, declared, located, limit=limit))
        if check and self._study.data.contracts:
            self._graph.add(check_stage(prepare, dataset, source=self.source.kind))
        return prepare

    def canonical(self, ref: TableRef, language: str) -> Raw:
        """Adds `prepare` of a table."""
        dataset = self._catalogue.dataset(ref.dataset)
        stage = self.prepared(dataset, language, ref.split)
        return Raw(
            stage=stage.name,
            dataset=dataset.name,
            format=dataset.format,
            language=language,
            split=ref.split,
            labels=dataset.labels,
            gates=self._graph.gates_of(stage.name),
        )

    def encode(
        self,
        raw: Raw,
        head: str,
        task: str,
        tokenizer: Source | Output,
        *,
        examples: int | None = None,
        draw: int | None = None,
        apart: bool = False,
        labels_of: Raw | None = None,
        masked: str = "",
    ) -> Stage:
        """Adds `encode` of a canonical table.

        Args:
            raw: the table.
            head: the head that the sequences are for.
            task: the task whose settings (lengths) hold.
            tokenizer: of the pretrained encoder.
            examples: number of examples to keep; None for all.
            draw: which sample of them; None for the one that all seeds share.
            apart: whether it is a draw of its own, so that tables of the same items give others.
            labels_of: the table that an open label set is read from; the table itself by default.
            masked: which part of each sequence is always masked entirely, for objectives that have one.
        """
        label = [raw.dataset, raw.language, raw.split, *raw.made]
        declared, usual = head_of(head), head_of_format(raw.format)
        label += [head] if usual is not None and usual.name != head else []
        label += [f"{examples} examples"] if examples is not None else []
        label += [f"seed {draw}"] if examples is not None and draw is not None else []
        label += ["apart"] if apart else []
        sample = (_LIMIT_SEED if draw is None else draw) + (_APART if apart else 0)
        inputs: dict[str, Source | Output] = {"table": Output(stage=raw.stage), "tokenizer": tokenizer}
        if labels_of is not None:
            inputs["labels"] = Output(stage=labels_of.stage)
        stage = Stage(
            of=ENCODE,
            name=f"encode[{' | '.join(label)}]",
            function="xtreme_dag.heads.encoding:encode",
            code=(*declared.encode_code, *formats.get(raw.format).encode_code),
            params={
                "format": raw.format,
                "declared": formats.get(raw.format).facts(*_ENCODED),
                "head": head,
                "labels": list(raw.labels) if declared.labels else [],
                **self._recipe.settings("encode", head, task),
                "limit": examples,
                "limit_seed": None if examples is None else sample,
                **({"masked": masked} if masked else {}),
            },
            inputs=inputs,
            after=raw.gates,
            more_libraries=declared.libraries,
            labels={"dataset": raw.dataset, "language": raw.language, "split": raw.split},
        )
        if stage.name in self._graph and self._graph[stage.name] != stage:
            # The same table at other lengths, of another task's recipe: it gets a name of its own.
            stage = replace(stage, name=f"encode[{' | '.join([*label, task])}]")
        return self._graph.add(stage)


def _opened(study: Study) -> DataSource:
    """The source that a study names, or a `NoSource` if it cannot be opened."""
    try:
        return open_data(study)
    except UserError as error:
        return NoSource(study.data.source, error)
