"""The base class of the classes that add stages to a study's graph."""

from __future__ import annotations

from xtreme_dag.catalogue.catalogue import Catalogue, TableRef
from xtreme_dag.engine.graph import Graph, Output, Source
from xtreme_dag.study.recipe import Recipe
from xtreme_dag.wiring.derived import Derived
from xtreme_dag.wiring.tables import Tables

Input = Source | Output


class Adding:
    """Adds stages of one kind to a study's graph.

    Args:
        graph: receives the stages.
        catalogue: all datasets and tasks.
        recipe: settings of encoding, training and evaluation.
        tables: the tables of the source.
        derived: tables made of tables.
        tokenizer: of the pretrained encoder.
    """

    def __init__(
        self, graph: Graph, catalogue: Catalogue, recipe: Recipe, tables: Tables, derived: Derived, tokenizer: Input
    ) -> None:
        self._graph = graph
        self._catalogue = catalogue
        self._recipe = recipe
        self._tables = tables
        self._derived = derived
        self._tokenizer = tokenizer

    def _languages(self, ref: TableRef) -> tuple[str, ...]:
        """Languages of a split that can be planned with; none where the dataset has no such split."""
        dataset = self._catalogue.dataset(ref.dataset)
        return self._tables.languages(dataset, ref.split) if ref.split in dataset.splits else ()
