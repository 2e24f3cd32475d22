"""Canonical tables: one Arrow schema per format, the same whatever the source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from xtreme_dag.formats import FORMATS
from xtreme_dag.formats.declaration import Format

ROW_GROUP = 65_536  # rows that a file holds together

_ROW = [pa.field("id", pa.string(), nullable=False), pa.field("language", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False)]  # fmt: skip
_ANSWER = pa.struct([pa.field("text", pa.string()), pa.field("start", pa.int32())])
_TYPES = {
    "string": pa.string(),
    "int32": pa.int32(),
    "bool": pa.bool_(),
    "words": pa.list_(pa.string()),
    "list<string>": pa.list_(pa.string()),
    "list<answer>": pa.list_(_ANSWER),
}


def schema_of(format: Format) -> pa.Schema:
    """The Arrow schema of a format: what every table has, and the columns that the format declares."""
    return pa.schema(_ROW + [pa.field(name, _TYPES[kind]) for name, kind in format.columns.items()])


class _Schemas(Mapping[str, pa.Schema]):
    """The schemas of the formats that are known at the time."""

    def __getitem__(self, name: str) -> pa.Schema:
        return schema_of(FORMATS[name])

    def __iter__(self) -> Iterator[str]:
        return iter(FORMATS)

    def __len__(self) -> int:
        return len(FORMATS)


SCHEMAS: Mapping[str, pa.Schema] = _Schemas()
"""Format -> schema, by name. Code that knows its format takes `schema_of`, so that its key counts the columns."""


def write_table(table: pa.Table, path: Path) -> None:
    """Writes a canonical table; the same table gives the same bytes (one row group size, no statistics of the run)."""
    write_tables([table], path)


def write_tables(tables: Iterable[pa.Table], path: Path) -> None:
    """Writes some tables as one, without holding them together.

    Args:
        tables: of one schema; at least one. All but the last have `ROW_GROUP` rows, or a multiple of them.
        path: the file.
    """
    every = iter(tables)
    first = next(every)
    with pq.ParquetWriter(path, first.schema, compression="zstd", write_statistics=False, store_schema=True) as sink:
        for table in chain([first], every):
            sink.write_table(table, row_group_size=ROW_GROUP)


def row_groups(pieces: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Pieces of a table, at least one, cut anew into tables of `ROW_GROUP` rows; the last one may have fewer."""
    held: list[pa.Table] = []
    count = 0
    for piece in pieces:
        held.append(piece)
        count += len(piece)
        while count > ROW_GROUP:
            whole = pa.concat_tables(held)
            yield whole.slice(0, ROW_GROUP).combine_chunks()
            held, count = [whole.slice(ROW_GROUP)], count - ROW_GROUP
    yield pa.concat_tables(held).combine_chunks()


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads `table.parquet` of a prepared artifact, given the file or its folder; one chunk a row group.

    Args:
        path: the file or its folder.
        columns: only these columns, where the texts of a large pool are not needed.
    """
    stored = StoredTable(path)
    groups = list(stored.groups(columns))
    empty = stored.schema.empty_table()
    return pa.concat_tables(groups or [empty if columns is None else empty.select(list(columns))])


class StoredTable:
    """`table.parquet` of a prepared artifact, of which one row group at a time is in memory.

    Args:
        path: the file or its folder.
    """

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path / "table.parquet" if path.is_dir() else path, pre_buffer=False)
        self.schema: pa.Schema = self._file.schema_arrow

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self.schema.names)

    def groups(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The row groups, read anew each time; only some columns of them if asked."""
        wanted = None if columns is None else list(columns)
        for number in range(self._file.num_row_groups):
            yield self._file.read_row_group(number, columns=wanted, use_threads=False)
