"""A task's pool of drawn examples, and batches of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from xtreme_dag.heads import HeadSpec, training_of
from xtreme_dag.heads.batches import Array, HostBatch, Ints, Masking
from xtreme_dag.tables.encoded import EncodedTable
from xtreme_dag.training.tables import SelectionTable, TrainingTable


@dataclass(frozen=True, kw_only=True)
class Part:
    """Rows of one encoded table, in the order in which they were drawn.

    Attributes:
        source: the table.
        dataset: its name.
        language: its language.
        rows: int64 rows of the table; a row may come twice.
        gold: columns that take the place of the table's own (a shuffled-label control).
        items_of: the dataset whose ids it has, where that is another one (a translation of it).
    """

    source: TrainingTable | SelectionTable
    dataset: str
    language: str
    rows: Ints
    gold: dict[str, Array] = field(default_factory=dict)
    items_of: str = ""

    @property
    def origin(self) -> str:
        """The dataset whose ids it has."""
        return self.items_of or self.dataset

    @property
    def table(self) -> EncodedTable:
        """The encoded table."""
        return self.source.table

    @property
    def tokens(self) -> int:
        """Tokens of the drawn rows."""
        return int(self.table.example_lengths[self.rows].sum())


@dataclass(frozen=True, kw_only=True)
class Pool:
    """All drawn examples of one task: position -> row of one of its parts.

    Attributes:
        name: name of the task, and of its head in the model.
        spec: the head.
        parts: where the examples lie.
    """

    name: str
    spec: HeadSpec
    parts: tuple[Part, ...]

    def __len__(self) -> int:
        return sum(len(part.rows) for part in self.parts)

    @cached_property
    def _starts(self) -> Ints:
        """The first position of each part."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum([len(part.rows) for part in self.parts])[:-1]])

    @cached_property
    def _names(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the gold columns that the head's loss needs, by level."""
        there = {*self.parts[0].table.examples.column_names, *self.parts[0].table.sequences.column_names}
        wanted = training_of(self.spec.kind).columns
        return {level: tuple(name for name in names if name in there) for level, names in wanted.items()}

    @cached_property
    def _columns(self) -> list[dict[str, dict[str, Array]]]:
        """Gold columns of each part by level: `example`, `sequence`, `token`."""
        return [
            {level: {name: _gold(part, name, level) for name in names} for level, names in self._names.items()}
            for part in self.parts
        ]

    def _slices(self, level: str, where: Sequence[tuple[int, int, int]]) -> dict[str, Array]:
        """The gold columns of a level, at ranges of (part, first, end)."""
        return {
            name: np.concatenate([self._columns[number][level][name][low:high] for number, low, high in where])
            for name in self._names.get(level, ())
        }

    def batch(self, positions: Sequence[int] | Ints) -> HostBatch:
        """The examples at these positions, in this order."""
        positions = np.asarray(positions, dtype=np.int64)
        part_of = np.searchsorted(self._starts, positions, side="right") - 1
        tables = [part.table for part in self.parts]
        # Ranges of (part, first, end): the examples' own rows, their sequences, their tokens.
        rows = [
            (number, row := int(self.parts[number].rows[position - int(self._starts[number])]), row + 1)
            for position, number in zip(positions.tolist(), part_of.tolist(), strict=True)
        ]
        sequences = [
            (number, int(tables[number].first_sequence[row]), int(tables[number].first_sequence[end]))
            for number, row, end in rows
        ]
        tokens = [
            (number, int(tables[number].offsets[low]), int(tables[number].offsets[high]))
            for number, low, high in sequences
        ]
        return HostBatch(
            ids=np.concatenate([tables[number].ids[low:high] for number, low, high in tokens]),
            types=np.concatenate([tables[number].per_token("token_type_ids")[low:high] for number, low, high in tokens])
            if tables[0].has_type_ids
            else None,
            lengths=np.concatenate([tables[number].lengths[low:high] for number, low, high in sequences]),
            per_example=np.array([high - low for _, low, high in sequences], dtype=np.int64),
            example_gold=self._slices("example", rows),
            sequence_gold=self._slices("sequence", sequences),
            token_gold=self._slices("token", tokens),
        )


def labelled(table: EncodedTable, kind: str) -> npt.NDArray[np.bool_]:
    """Which examples have the gold that a head needs of each: bool `[examples]`."""
    known = np.ones(len(table), dtype=bool)
    for name in training_of(kind).columns.get("example", ()):
        column = table.per_example(name)
        there = ~np.isnan(column) if column.dtype.kind == "f" else column >= 0
        known &= there.reshape(len(table), -1).all(axis=1)
    return known


def masking_for(pool: Pool, probability: float) -> Masking | None:
    """The masking of a pool's batches; None for a head whose gold is not the text itself."""
    masking = training_of(pool.spec.kind).masking
    found: Masking | None = masking and masking(pool.parts[0].table.info, probability, pool.name)
    return found


def _gold(part: Part, name: str, level: str) -> Array:
    """A gold column of a part: its own, or the one that takes its place."""
    if name in part.gold:
        return part.gold[name]
    if level == "example":
        return part.table.per_example(name)
    return part.table.per_sequence(name) if level == "sequence" else part.table.per_token(name)
