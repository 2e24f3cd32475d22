"""Adds the stages `audit`: gates of training that look for what is tested in what is trained or selected on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from xtreme_dag import formats
from xtreme_dag.catalogue.catalogue import Catalogue
from xtreme_dag.contracts.odcs import contract_file
from xtreme_dag.engine.graph import Graph, Output, Source, Stage
from xtreme_dag.study.data_settings import Overlap
from xtreme_dag.wiring.kinds import AUDIT, ENCODE, EVALUATE, KINDS, PREPARE, TRANSLATE
from xtreme_dag.wiring.lineage import training_behind
from xtreme_dag.wiring.tables import Tables

_READ = ("columns", "sides", "texts", "compared", "read", "shared")  # fields of a format that the stage uses
_TRAIN, _SELECT, _TEST = "train", "select", "test"
_TRAINED = ("train", "text")  # what inputs of training stages are called that it learns from; others it selects on


class Overlaps:
    """Finds what each training stage of a graph reads and what its model is tested on, and adds the audits.

    Args:
        graph: the whole graph of a study.
        tables: adds the tables that are only looked at.
        catalogue: all datasets.
        allowed: what the study allows.
    """

    def __init__(self, graph: Graph, tables: Tables, catalogue: Catalogue, allowed: Sequence[Overlap]) -> None:
        self._graph = graph
        self._tables = tables
        self._catalogue = catalogue
        self._allowed = allowed

    def audited(self) -> Graph:
        """The graph with an `audit` for each table that something is trained or selected on; what reads it waits for it.

        A table is held against what is tested with the models that it led to, and one that is trained on also against
        what those were selected on. Of a parallel dataset that is not tested in the table's language that test counts
        too, where it is there: the table may have it in the original.
        """
        pairs = self._pairs()
        companions = {seen: self._companions(seen, tested) for seen, tested in pairs.items()}
        audits = [self._audit(seen, use, {**tested, **companions[seen, use]}) for (seen, use), tested in pairs.items()]
        early = self._graph.ancestors({name for stage in audits for name in stage.parents})
        made = Graph()
        for stage in self._graph:
            if stage.name in early:
                made.add(stage)
        for audit in audits:
            made.add(audit)
        gates = {(audit.gates, audit.labels["use"]): audit.name for audit in audits}
        for stage in self._graph:
            if stage.name not in early:
                reads = dict.fromkeys(gates[table] for table in self._reads(stage) if table in gates)
                made.add(replace(stage, after=(*stage.after, *reads)) if reads else stage)
        return made

    def _pairs(self) -> dict[tuple[str, str], dict[str, str]]:
        """(seen table, `train` or `select`) -> the tables that must be new to it, with what those are for."""
        pairs: dict[tuple[str, str], dict[str, str]] = {}
        behind: dict[str, list[tuple[str, str]]] = {}
        chosen_on: dict[str, set[str]] = {}  # task -> dev tables that conditions are chosen on
        tests: dict[str, dict[str, str]] = {}
        for stage in self._graph:
            if stage.of is not EVALUATE:
                continue
            model = stage.inputs["model"]
            name = model.stage if isinstance(model, Output) else ""
            if name not in behind:
                behind[name] = [read for each in training_behind(self._graph, model) for read in self._reads(each)]
                for seen, use in behind[name]:
                    pairs.setdefault((seen, use), {})
                selected = {table: _SELECT for table, use in behind[name] if use == _SELECT}
                for seen, use in behind[name]:
                    if use == _TRAIN:
                        pairs[seen, use].update(selected)
            table = self._original(stage)
            use, task = self._use(self._graph[table]), str(stage.labels["task"])
            if use == _TEST:
                tests.setdefault(task, {})[table] = use
            else:
                chosen_on.setdefault(task, set()).add(table)
            for seen, seen_for in [*behind[name], *self._reads(stage)]:
                if use == _TEST or seen_for == _TRAIN:
                    pairs.setdefault((seen, seen_for), {})[table] = use
        for task, tables in chosen_on.items():
            for name in sorted(tables):
                pairs.setdefault((name, _SELECT), {}).update(tests.get(task, {}))
        return {pair: tested for pair, tested in pairs.items() if tested}

    def _original(self, evaluation: Stage) -> str:
        """The table that is tested, as it was before it was translated."""
        table = evaluation.inputs["table"]
        assert isinstance(table, Output)
        made = self._graph[table.stage]
        before = made.inputs["table"] if made.of is TRANSLATE else table
        assert isinstance(before, Output)
        return before.stage

    def _reads(self, stage: Stage) -> list[tuple[str, str]]:
        """The tables that a stage learns from or selects on, each as it was before anything was made of it, and its use."""
        if stage.of is EVALUATE:  # on dev conditions are chosen, and thresholds by the evaluation `calibration`
            chosen, table = stage.inputs.get("calibration"), stage.inputs["table"]
            table = self._graph[chosen.stage].inputs["table"] if isinstance(chosen, Output) else table
            assert isinstance(table, Output)
            return [] if self._use(self._graph[table.stage]) == _TEST else [(table.stage, _SELECT)]
        if not KINDS[stage.kind].trains:
            return []
        return [
            (table, _TRAIN if name.split("/")[0] in _TRAINED else _SELECT)
            for name, source in stage.inputs.items()
            if isinstance(source, Output) and name.split("/")[0] in (*_TRAINED, _SELECT)
            for table in self._origins(source.stage)
        ]

    def _origins(self, name: str) -> Iterator[str]:
        """The tables of the source that a table was made of; a translation counts itself, too."""
        stage = self._graph[name]
        made_of = [self._graph[each.stage] for each in stage.inputs.values() if isinstance(each, Output)]
        tables = [each for each in made_of if each.of in (PREPARE, TRANSLATE)]
        if stage.of is ENCODE:
            table = stage.inputs["table"]
            yield from self._origins(table.stage) if isinstance(table, Output) else ()
            return
        if stage.of is TRANSLATE or not tables:
            yield name
        for each in tables:
            yield from self._origins(each.name)

    def _companions(self, pair: tuple[str, str], tested: Mapping[str, str]) -> dict[str, str]:
        """The tests of parallel datasets in the language of a seen table, where the study tests others alone."""
        language, found = str(self._graph[pair[0]].labels["language"]), {}
        facts = {(str(self._graph[name].labels["dataset"]), str(self._graph[name].labels["split"])) for name in tested}
        for name, split in sorted(facts):
            dataset = self._catalogue.dataset(name)
            there = language in self._tables.source.languages(dataset, split)
            if dataset.parallel and there:
                stage = self._tables.prepared(dataset, language, split, check=False)
                found[stage.name] = dataset.split(split).use
        return {name: use for name, use in found.items() if name not in tested and name != pair[0]}

    def _audit(self, seen: str, use: str, tested: Mapping[str, str]) -> Stage:
        facts = self._facts(self._graph[seen], use)
        others = [self._facts(self._graph[name], for_what) for name, for_what in sorted(tested.items())]
        inputs: dict[str, Source | Output] = {"seen": Output(stage=seen, part="table.parquet")}
        for other, name in zip(others, sorted(tested), strict=True):
            inputs[called(other)] = Output(stage=name, part="table.parquet")
        contract = contract_file(self._catalogue.dataset(facts["dataset"]))
        if contract is not None:
            inputs["contract"] = Source(path=contract)
        name, allowed = called(facts), {}
        for other in others:
            reasons = [each.reason for each in self._allowed if each.holds(name, called(other))]
            allowed.update({called(other): reasons[0]} if reasons else {})
        label = seen.partition("[")[2].removesuffix("]") + ("" if use == _TRAIN else " | selection")
        return Stage(
            of=AUDIT,
            name=f"audit[{label}]",
            function="xtreme_dag.contracts.overlap:overlap",
            params={
                "seen": facts,
                "tested": others,
                "formats": {each["format"]: formats.get(each["format"]).facts(*_READ) for each in [facts, *others]},
                "allowed": allowed,
            },
            inputs=inputs,
            gates=seen,
            labels={key: facts[key] for key in ("dataset", "language", "split", "use")},
        )

    def _facts(self, stage: Stage, use: str) -> dict[str, str]:
        facts = {name: str(stage.labels[name]) for name in ("dataset", "language", "split")}
        return {**facts, "use": use, "format": self._catalogue.dataset(facts["dataset"]).format}

    def _use(self, stage: Stage) -> str:
        return self._catalogue.dataset(stage.labels["dataset"]).split(stage.labels["split"]).use


def called(facts: Mapping[str, str]) -> str:
    """A table as findings name it: `dataset/language/split`."""
    return f"{facts['dataset']}/{facts['language']}/{facts['split']}"
