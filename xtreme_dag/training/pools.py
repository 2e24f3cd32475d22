"""A task's pool of drawn examples, and batches of them on the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from xtreme_dag.model.heads import HeadSpec
from xtreme_dag.tables.encoded import EncodedTable
from xtreme_dag.training.tables import SelectionTable, TrainingTable

Ints = npt.NDArray[np.int64]
Array = npt.NDArray[Any]

# Columns that a head's loss needs, by what they have one value of.
_EXAMPLE_GOLD = {"classification": ("label",), "multiple_choice": ("label",)}
_SEQUENCE_GOLD = {"span": ("start", "end"), "dual": ("side",)}
_TOKEN_GOLD = {"tagging": ("labels",)}


@dataclass(frozen=True, kw_only=True)
class HostBatch:
    """Examples on the host, sequences end to end.

    Attributes:
        ids: int32 `[tokens]`.
        types: int8 `[tokens]` or None.
        lengths: int64 `[sequences]`.
        per_example: sequences of each example, int64 `[examples]`.
        example_gold: name -> one value per example.
        sequence_gold: name -> one value per sequence.
        token_gold: name -> one value per token.
    """

    ids: npt.NDArray[np.int32]
    types: npt.NDArray[np.int8] | None
    lengths: Ints
    per_example: Ints
    example_gold: dict[str, Array]
    sequence_gold: dict[str, Array]
    token_gold: dict[str, Array]

    def __len__(self) -> int:
        return len(self.per_example)

    @cached_property
    def sequence_bounds(self) -> Ints:
        """Sequences of example `i` are `bounds[i]:bounds[i + 1]`."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.per_example)])

    @cached_property
    def token_bounds(self) -> Ints:
        """Tokens of sequence `i` are `bounds[i]:bounds[i + 1]`."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.lengths)])

    @cached_property
    def tokens_per_example(self) -> Ints:
        """Tokens of each example, all its sequences together."""
        return np.diff(self.token_bounds[self.sequence_bounds])

    def part(self, low: int, high: int) -> HostBatch:
        """Examples `low` to `high`."""
        sequences = slice(int(self.sequence_bounds[low]), int(self.sequence_bounds[high]))
        tokens = slice(int(self.token_bounds[sequences.start]), int(self.token_bounds[sequences.stop]))
        return HostBatch(
            ids=self.ids[tokens],
            types=None if self.types is None else self.types[tokens],
            lengths=self.lengths[sequences],
            per_example=self.per_example[low:high],
            example_gold={name: column[low:high] for name, column in self.example_gold.items()},
            sequence_gold={name: column[sequences] for name, column in self.sequence_gold.items()},
            token_gold={name: column[tokens] for name, column in self.token_gold.items()},
        )

    def with_tokens(self, ids: npt.NDArray[np.int32], **gold: Array) -> HostBatch:
        """The same examples with other token ids and further per-token gold (masked language modelling)."""
        return replace(self, ids=ids, token_gold={**self.token_gold, **gold})


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
    def _token_gold(self) -> tuple[str, ...]:
        """Per-token columns that the loss needs; text whose masks are given has them in `masked`."""
        given = "masked" in self.parts[0].table.sequences.column_names
        return ("masked",) if self.spec.kind == "mlm" and given else _TOKEN_GOLD.get(self.spec.kind, ())

    @cached_property
    def _columns(self) -> list[tuple[dict[str, Array], dict[str, Array], dict[str, Array]]]:
        """Gold columns of each part: per example, per sequence, per token."""
        return [
            (
                {name: _gold(part, name, "example") for name in _EXAMPLE_GOLD.get(self.spec.kind, ())},
                {name: _gold(part, name, "sequence") for name in _SEQUENCE_GOLD.get(self.spec.kind, ())},
                {name: _gold(part, name, "token") for name in self._token_gold},
            )
            for part in self.parts
        ]

    def batch(self, positions: Sequence[int] | Ints) -> HostBatch:
        """The examples at these positions, in this order."""
        positions = np.asarray(positions, dtype=np.int64)
        part_of = np.searchsorted(self._starts, positions, side="right") - 1
        pieces: list[tuple[int, int, int, int, int]] = []
        for position, number in zip(positions.tolist(), part_of.tolist(), strict=True):
            table = self.parts[number].table
            row = int(self.parts[number].rows[position - int(self._starts[number])])
            low, high = int(table.first_sequence[row]), int(table.first_sequence[row + 1])
            pieces.append((number, row, low, high, int(table.offsets[low])))
        tables = [part.table for part in self.parts]
        ends = [int(tables[number].offsets[high]) for number, _, _, high, _ in pieces]
        spans = [(number, start, end) for (number, _, _, _, start), end in zip(pieces, ends, strict=True)]
        kinds = self._columns
        return HostBatch(
            ids=_join([tables[number].ids[start:end] for number, start, end in spans]),
            types=_join([tables[number].per_token("token_type_ids")[start:end] for number, start, end in spans])
            if tables[0].has_type_ids
            else None,
            lengths=_join([tables[number].lengths[low:high] for number, _, low, high, _ in pieces]),
            per_example=np.array([high - low for _, _, low, high, _ in pieces], dtype=np.int64),
            example_gold={
                name: np.array([kinds[number][0][name][row] for number, row, _, _, _ in pieces])
                for name in _EXAMPLE_GOLD.get(self.spec.kind, ())
            },
            sequence_gold={
                name: _join([kinds[number][1][name][low:high] for number, _, low, high, _ in pieces])
                for name in _SEQUENCE_GOLD.get(self.spec.kind, ())
            },
            token_gold={
                name: _join([kinds[number][2][name][start:end] for number, start, end in spans])
                for name in self._token_gold
            },
        )


def _gold(part: Part, name: str, level: str) -> Array:
    """A gold column of a part: its own, or the one that takes its place."""
    if name in part.gold:
        return part.gold[name]
    if level == "example":
        return part.table.per_example(name)
    return part.table.per_sequence(name) if level == "sequence" else part.table.per_token(name)


def _join(parts: list[Array]) -> Array:
    """Arrays end to end."""
    return np.concatenate(parts)
