"""Encoded tables on disk: flat token ids in Arrow, memory-mapped, read without a copy.

`examples.arrow` has one row per example, `sequences.arrow` one per token sequence, both in canonical order and in one
record batch, so that a column is one numpy array. `encode.json` says how they were made.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from xtreme_dag.core.errors import UserError

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class EncodedTable:
    """One encoded table.

    Attributes:
        folder: where it lies (for messages).
        info: the content of `encode.json`.
        examples: the Arrow table of examples.
        sequences: the Arrow table of sequences.
    """

    folder: Path
    info: dict[str, Any]
    examples: pa.Table
    sequences: pa.Table
    _columns: dict[str, Array] = field(default_factory=dict, repr=False, compare=False)

    @property
    def head(self) -> str:
        """The head that the table was encoded for."""
        return str(self.info["head"])

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that its rows come from."""
        return tuple(self.info["splits"])

    def __len__(self) -> int:
        return int(self.examples.num_rows)

    @cached_property
    def ids(self) -> npt.NDArray[np.int32]:
        """Token ids of all sequences end to end, int32 `[tokens]`."""
        return _values(self.sequences["input_ids"])

    @cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Sequence `i` is `ids[offsets[i]:offsets[i + 1]]`; int64 `[sequences + 1]`."""
        return _offsets(self.sequences["input_ids"])

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens per sequence, int64 `[sequences]`."""
        return np.diff(self.offsets)

    @cached_property
    def first_sequence(self) -> npt.NDArray[np.int64]:
        """Sequences of example `i` are `first_sequence[i]:first_sequence[i + 1]`; int64 `[examples + 1]`."""
        counts = np.bincount(self.sequences["example"].to_numpy(), minlength=len(self))
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])

    @cached_property
    def example_lengths(self) -> npt.NDArray[np.int64]:
        """Tokens per example, all its sequences together, int64 `[examples]`."""
        return np.diff(self.offsets[self.first_sequence])

    def per_token(self, column: str) -> Array:
        """A list column of `sequences.arrow`, end to end (aligned with `ids`; `offsets` has two values per token)."""
        if column not in self._columns:
            self._columns[column] = _values(self.sequences[column])
        return self._columns[column]

    def per_sequence(self, column: str) -> Array:
        """A scalar column of `sequences.arrow`."""
        return np.asarray(self.sequences[column].to_numpy())

    def per_example(self, column: str) -> Array:
        """A column of `examples.arrow`: `[examples]`, or `[examples, size]` of lists of one size."""
        values = _single(self.examples[column])
        if pa.types.is_fixed_size_list(values.type):
            return np.asarray(values.flatten().to_numpy(zero_copy_only=False)).reshape(len(self), values.type.list_size)
        return np.asarray(values.to_numpy(zero_copy_only=False))

    @property
    def has_type_ids(self) -> bool:
        """Whether token type ids were stored."""
        return "token_type_ids" in self.sequences.column_names

    @cached_property
    def example_ids(self) -> list[str]:
        """The canonical ids, in order."""
        return list(self.examples["id"].to_pylist())

    @cached_property
    def languages(self) -> list[str]:
        """The language of each example, in order."""
        return list(self.examples["language"].to_pylist())


def open_encoded(folder: Path) -> EncodedTable:
    """Opens the encoded table in an artifact folder, memory-mapped.

    Raises:
        UserError: the folder holds no encoded table.
    """
    try:
        info = json.loads((folder / "encode.json").read_text(encoding="utf-8"))
        return EncodedTable(
            folder=folder,
            info=info,
            examples=_read(folder / "examples.arrow"),
            sequences=_read(folder / "sequences.arrow"),
        )
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise UserError("this is not an encoded table", where=str(folder), fix="encode the data set again") from error


def write_encoded(folder: Path, examples: pa.Table, sequences: pa.Table, info: dict[str, Any]) -> None:
    """Writes the two Arrow files (one record batch each) and `encode.json`; the same content gives the same bytes."""
    for name, table in (("examples", examples), ("sequences", sequences)):
        with pa.OSFile(str(folder / f"{name}.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table.combine_chunks(), max_chunksize=max(1, table.num_rows))
    (folder / "encode.json").write_text(json.dumps(info, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")


def places(starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Positions in a flat array of rows that start and are so long, end to end."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


def list_column(values: Array, lengths: npt.NDArray[np.int64]) -> pa.Array:
    """A list column from values end to end and the length of each list."""
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    if offsets[-1] > np.iinfo(np.int32).max:
        raise UserError(
            f"{offsets[-1]:,} tokens do not fit one encoded table", fix="encode the data set in parts, or set a limit"
        )
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(values))


def _read(path: Path) -> pa.Table:
    """A memory-mapped Arrow file."""
    with pa.memory_map(str(path), "rb") as source:
        return pa.ipc.open_file(source).read_all()


def _single(column: pa.ChunkedArray) -> Any:
    """The column's only chunk (tables are written as one record batch)."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _values(column: pa.ChunkedArray) -> Array:
    """The values of a list column end to end."""
    array = _single(column)
    return np.asarray(array.flatten().to_numpy(zero_copy_only=False))


def _offsets(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """The boundaries of the lists, from 0."""
    offsets = np.asarray(_single(column).offsets.to_numpy()).astype(np.int64)
    return offsets - offsets[0] if len(offsets) else np.zeros(1, np.int64)
