"""From chunks of a reader to a canonical table: ids, parts, label sets."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from xtreme_dag import formats
from xtreme_dag.data.readers.files import Chunk, Place
from xtreme_dag.formats.declaration import Format
from xtreme_dag.tables.canonical import schema_of

TOGETHER = 2  # batches that are packed into one
FIRST = 5  # ids named in a message


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """A piece of a canonical table.

    Attributes:
        table: the piece.
        read: how many examples the files had for it before a part of them was taken.
        left_out: reason -> ids of the examples (where they stand if they have none) that cannot be used.
    """

    table: pa.Table
    read: int
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)


def assemble(chunks: Iterator[Chunk], kind: str, options: Mapping[str, Any], place: Place) -> Iterator[Assembled]:
    """Numbers, selects, checks and types the examples of a reader, a piece at a time.

    An example without an id of its own is called after its split and its row, counted over all that was read: the same
    row of parallel files has the same id in every language, whatever part or limit is taken.

    Args:
        chunks: what the reader yields.
        kind: canonical format.
        options: `part`: which share of the examples is taken; `{rows: g, of: n, keep: [...]}` puts runs of g rows
            together, `{column: name, of: n, keep: [...]}` all rows with the same text. `leave_out`: reason -> texts; rows
            of which a text is one of them (`""`: blank) are left out, as known defects of a release.
        place: dataset, language, split, label set.

    Raises:
        UserError: a label outside the label set, or a value of the wrong type.
    """
    format = formats.get(kind)
    schema = schema_of(format)
    part = options.get("part")
    batches: list[pa.RecordBatch] = []
    left_out: dict[str, list[str]] = {}
    number = read = 0
    for chunk in chunks:
        columns = dict(chunk.columns)
        size = len(chunk)
        columns.setdefault("id", [f"{place.split}-{n}" for n in range(number, number + size)])
        at: Sequence[int] = chunk.lines
        for why, places in chunk.left_out.items():
            left_out.setdefault(why, []).extend(places)
        if part or options.get("leave_out"):
            kept = _kept(part, columns, number, size) if part else list(range(size))
            for why, texts in options.get("leave_out", {}).items():
                bad = {n for n in kept if any(columns[name][n].strip() in texts for name in format.texts)}
                left_out.setdefault(why, []).extend(columns["id"][n] for n in kept if n in bad)
                kept = [n for n in kept if n not in bad]
            columns = {name: [values[n] for n in kept] for name, values in columns.items()}
            at = [at[n] for n in kept] if at else ()
        number += size
        read += size if chunk.read is None else chunk.read
        columns["language"] = columns.get("language") or [place.language] * len(columns["id"])
        columns["split"] = [place.split] * len(columns["id"])
        batch = _batch(columns, schema, chunk, place)
        _check_labels(batch, format, chunk, at, place)
        batches.append(batch)
        del chunk, columns, at  # before the reader makes the next ones
        if len(batches) == TOGETHER:
            yield Assembled(table=_packed(batches, schema), read=read, left_out=left_out)
            batches, read, left_out = [], 0, {}
            pa.default_memory_pool().release_unused()
    if batches or read:
        yield Assembled(table=_packed(batches, schema), read=read, left_out=left_out)


def _packed(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """Some batches as one of exactly their size: arrays grown value by value hold up to twice that."""
    return pa.Table.from_batches(batches, schema=schema).combine_chunks()


def _kept(part: Mapping[str, Any], columns: Mapping[str, Sequence[Any]], number: int, size: int) -> list[int]:
    of, keep = part["of"], frozenset(part["keep"])
    if "rows" in part:
        run = part["rows"]
        return [n for n in range(size) if (number + n) // run % of in keep]
    values = columns[part["column"]]
    return [n for n in range(size) if zlib.crc32(str(values[n]).encode()) % of in keep]


def _batch(columns: Mapping[str, Sequence[Any]], schema: pa.Schema, chunk: Chunk, place: Place) -> pa.RecordBatch:
    arrays = []
    for column in schema:
        try:
            arrays.append(pa.array(columns[column.name], column.type))
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            raise place.error(f"column {column.name}: {error}", chunk.file) from None
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _check_labels(batch: pa.RecordBatch, format: Format, chunk: Chunk, at: Sequence[int], place: Place) -> None:
    """Refuses labels that are not in the label set; a missing one is a matter for the contract."""
    if not format.label:
        return
    labels, file = batch[format.label], chunk.labels_file or chunk.file
    if format.choices:
        choices = batch[format.choices]
        bad = pc.or_(pc.less(labels, 0), pc.greater_equal(labels, pc.list_value_length(choices)))
        rows = pc.indices_nonzero(pc.fill_null(bad, False)).to_pylist()
        if rows:
            what = f"label {labels[rows[0]].as_py()} where there are {len(choices[rows[0]])} choices"
            raise place.error(what, file, _line(at, rows[0]), ids=_first(batch, rows))
        return
    if not place.labels:
        return
    listed = pa.types.is_list(labels.type)
    single = labels.flatten() if listed else labels
    bad = pc.invert(pc.is_in(single, pa.array(place.labels, pa.string())))
    if not listed:
        bad = pc.and_(bad, pc.is_valid(single))
    if pc.any(bad).as_py():
        spots = pc.indices_nonzero(bad)
        rows = (pc.list_parent_indices(labels).take(spots) if listed else spots).unique().to_pylist()
        label = single[spots[0].as_py()].as_py()
        what = f"label {label!r} is not in the label set, in {len(rows)} of {len(batch)} rows"
        ids = _first(batch, rows)
        raise place.error(what, file, _line(at, rows[0]), ids=ids, wrong=str(label), valid=place.labels)


def _first(batch: pa.RecordBatch, rows: Sequence[int]) -> list[str]:
    return [batch["id"][n].as_py() for n in rows[:FIRST]]


def _line(at: Sequence[int], row: int) -> int:
    return at[row] if at else 0
