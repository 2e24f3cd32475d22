"""The stage that turns raw files into a canonical table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from xtreme_dag import formats
from xtreme_dag.core.context import StageContext
from xtreme_dag.core.errors import UserError
from xtreme_dag.data.prepare.assemble import Assembled, assemble
from xtreme_dag.data.prepare.limit import limited
from xtreme_dag.data.readers.dispatch import read
from xtreme_dag.data.readers.files import Chunk, Place
from xtreme_dag.tables.canonical import SCHEMAS, row_groups, write_tables


def prepare(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Writes `table.parquet` (canonical) and `counts.json` of one dataset, language and split.

    Args:
        params: `Located.params` (`reader`, `options`, `labelled`, `whole`), `dataset`, `language`, `split`, `format`,
            `labels` (list), `limit` (rows, or null for all), `limit_seed`; `declared`, what the format says, for the key.
        inputs: `Located.files`: name -> raw file. Empty for the miniworld and the hub.
        context: the stage's surroundings; `options`: `hub_cache`, `hub_offline`.

    Returns:
        Rows and bytes read, for the manifest.

    Raises:
        UserError: a mistake in the raw files; names dataset, language, split, file and line.
    """
    tally = Tally(params)
    # A row group at a time: the table is never held, unless a sample of it is drawn.
    write_tables(row_groups(_tallied(params, inputs, context.options, tally)), context.out / "table.parquet")
    counts = tally.counts()
    text = json.dumps(counts, indent=1, sort_keys=True, ensure_ascii=False)
    (context.out / "counts.json").write_text(text + "\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in inputs.values())
    return {"rows": counts["rows"], "read": counts["read"], "bytes": size}


def canonical(
    params: Mapping[str, Any], inputs: Mapping[str, Path], options: Mapping[str, Any]
) -> tuple[pa.Table, dict[str, Any]]:
    """The canonical table of one dataset, language and split, and its counts (see `Tally`).

    Args:
        params: as for `prepare`.
        inputs: as for `prepare`.
        options: `hub_cache`, `hub_offline`.

    Raises:
        UserError: a mistake in the raw files.
    """
    tally = Tally(params)
    return pa.concat_tables(_tallied(params, inputs, options, tally)), tally.counts()


class Tally:
    """Counts of a table that comes in pieces.

    `format`; `rows` of the table; examples `read` from the files, as their publishers count them; `whole` (the files
    are those that were published); `labelled` (the release does not hold the labels back); the language's `script`;
    `labels`, `tokens`, `sides` (how often each occurs, where the format has them); `repeated_ids` (rows whose id in the
    file is another row's too); `parts` of a union (the datasets whose names its ids begin with); `left_out` (reason ->
    ids of the examples that cannot be used, or where they stand), where there are any.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params
        self._names: Counter[str] | None = Counter() if params.get("options", {}).get("derive_ids") else None
        self._content = content_counts(SCHEMAS[params["format"]].empty_table(), params["format"])
        self.read = self.rows = 0
        self.left_out: dict[str, list[str]] = {}

    def leave_out(self, examples: Mapping[str, Sequence[str]]) -> None:
        """Notes examples that cannot be used."""
        for why, ids in examples.items():
            if ids:
                self.left_out.setdefault(why, []).extend(ids)

    def add(self, table: pa.Table) -> None:
        """Counts a piece of the table."""
        self.rows += len(table)
        for name, found in content_counts(table, self._params["format"]).items():
            self._content[name] += found
        if self._names is not None:
            self._names.update(name.rpartition("-")[0] for name in table["id"].to_pylist())

    def counts(self) -> dict[str, Any]:
        """What was counted, as JSON has it."""
        params = self._params
        content = {
            name: dict(sorted(found.items())) if isinstance(found, Counter) else found
            for name, found in self._content.items()
        }
        more: dict[str, Any] = {}
        if params["reader"] == "union":
            more["parts"] = list(dict.fromkeys(part["dataset"] for part in params["options"]["parts"]))
        if self._names is not None:
            more["repeated_ids"] = sum(count for count in self._names.values() if count > 1)
        if self.left_out:
            more["left_out"] = self.left_out
        return {
            "format": params["format"],
            "rows": self.rows,
            "read": self.read,
            "whole": bool(params.get("whole")),
            "labelled": bool(params.get("labelled", True)),
            "script": params.get("script"),
            **content,
            **more,
        }


def _tallied(
    params: Mapping[str, Any], inputs: Mapping[str, Path], options: Mapping[str, Any], tally: Tally
) -> Iterator[pa.Table]:
    """The pieces of a table, at least one, counted as they pass."""
    place = Place(
        dataset=params["dataset"],
        language=params["language"],
        split=params["split"],
        labels=tuple(params.get("labels") or ()),
    )
    limit, kind = params.get("limit"), params["format"]
    held = [SCHEMAS[kind].empty_table()]
    try:
        for piece in _pieces(params, inputs, place, options):
            tally.read += piece.read
            tally.leave_out(piece.left_out)
            if limit is None:
                tally.add(piece.table)
                yield piece.table
            else:
                held.append(piece.table)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        files = ", ".join(dict.fromkeys(f"{path.parent.name}/{path.name}" for path in inputs.values()))
        raise UserError(
            f"not in the form that its reader {params['reader']!r} knows: {type(error).__name__}: {error}",
            where=f"{place.dataset}/{place.language}/{place.split}, {files or 'no file'}",
        ) from error
    rest = limited(pa.concat_tables(held), kind, limit, params.get("limit_seed", 0))
    tally.add(rest)
    yield rest


def _pieces(
    params: Mapping[str, Any], inputs: Mapping[str, Path], place: Place, settings: Mapping[str, Any]
) -> Iterator[Assembled]:
    reader, options = params["reader"], params.get("options", {})
    if reader == "miniworld":
        table = _generated(options, params["format"], place)
        return iter([Assembled(table=table, read=len(table))])
    if reader == "union":
        return _union(options["parts"], inputs, params["format"], place, settings)
    if reader == "hub":
        return assemble(_fetched(options, place, settings), params["format"], options, place)
    return assemble(read(reader, inputs, options, place), params["format"], options, place)


def _union(
    parts: list[Mapping[str, Any]], inputs: Mapping[str, Path], kind: str, place: Place, settings: Mapping[str, Any]
) -> Iterator[Assembled]:
    """The parts one after the other; a part's dataset is put before its ids, so that ids stay unique."""
    for number, part in enumerate(parts):
        mark = f"{number}."
        files = {name.removeprefix(mark): path for name, path in inputs.items() if name.startswith(mark)}
        origin = replace(place, dataset=part["dataset"], split=part["split"])
        for made in _pieces({**part, "format": kind}, files, origin, settings):
            ids = pc.binary_join_element_wise(part["dataset"], made.table["id"], ":").combine_chunks()
            split = pa.repeat(pa.scalar(place.split, pa.string()), len(made.table))
            columns = {**{name: made.table[name] for name in made.table.column_names}, "id": ids, "split": split}
            left_out = {why: [f"{part['dataset']}:{name}" for name in names] for why, names in made.left_out.items()}
            yield Assembled(table=pa.table(columns, schema=SCHEMAS[kind]), read=made.read, left_out=left_out)


def _generated(options: Mapping[str, Any], kind: str, place: Place) -> pa.Table:
    from xtreme_dag.miniworld.source import table

    made = table(
        kind, dataset=place.dataset, language=place.language, split=place.split,
        rows=options["rows"], seed=options["seed"], labels=place.labels,
    )  # fmt: skip
    return made.cast(SCHEMAS[kind])


def _fetched(options: Mapping[str, Any], place: Place, settings: Mapping[str, Any]) -> Iterator[Chunk]:
    from xtreme_dag.data.readers.hub import read_hub

    cache, offline = settings.get("hub_cache"), bool(settings.get("hub_offline"))
    return read_hub(options, place, cache=cache, offline=offline)


def content_counts(table: pa.Table, kind: str) -> dict[str, Any]:
    """What the format counts: the number of words of a column, or how often each of its values occurs."""
    format = formats.get(kind)
    made: dict[str, Any] = {}
    for entry, name in format.counted.items():
        values = pc.list_flatten(table[name]) if pa.types.is_list(table[name].type) else table[name]
        if format.columns[name] == "words":
            made[entry] = len(values)
        else:
            made[entry] = Counter({str(one["values"]): one["counts"] for one in pc.value_counts(values).to_pylist()})
    return made
