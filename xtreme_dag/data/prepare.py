"""The stage that turns raw files into a canonical table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from xtreme_dag.data.assemble import Assembled, assemble
from xtreme_dag.data.canonical import SCHEMAS, write_table
from xtreme_dag.data.limit import limited
from xtreme_dag.data.readers.dispatch import read
from xtreme_dag.data.readers.files import Chunk, Place
from xtreme_dag.errors import UserError
from xtreme_dag.stages.context import StageContext


def prepare(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Writes `table.parquet` (canonical) and `counts.json` of one dataset, language and split.

    Args:
        params: `Located.params` (`reader`, `options`, `labelled`, `whole`), `dataset`, `language`, `split`, `format`,
            `labels` (list), `limit` (rows, or null for all), `limit_seed`.
        inputs: `Located.files`: name -> raw file. Empty for the miniworld and the hub.
        context: the stage's surroundings; `options`: `hub_cache`, `hub_offline`.

    Returns:
        Rows and bytes read, for the manifest.

    Raises:
        UserError: a mistake in the raw files; names dataset, language, split, file and line.
    """
    table, counts = canonical(params, inputs, context.options)
    write_table(table, context.out / "table.parquet")
    text = json.dumps(counts, indent=1, sort_keys=True, ensure_ascii=False)
    (context.out / "counts.json").write_text(text + "\n", encoding="utf-8")
    return {"rows": len(table), "read": counts["read"], "bytes": sum(path.stat().st_size for path in inputs.values())}


def canonical(
    params: Mapping[str, Any], inputs: Mapping[str, Path], options: Mapping[str, Any]
) -> tuple[pa.Table, dict[str, Any]]:
    """The canonical table of one dataset, language and split, and its counts.

    The counts: `format`; `rows` of the table; examples `read` from the files, as their publishers count them; `whole`
    (the files are those that were published); `labelled` (the release does not hold the labels back); the language's `script`; `labels`,
    `tokens`, `sides` (how often each occurs, where the format has them); `repeated_ids` (rows whose id in the file is
    another row's too); `parts` of a union (the datasets whose names its ids begin with).

    Args:
        params: as for `prepare`.
        inputs: as for `prepare`.
        options: `hub_cache`, `hub_offline`.

    Raises:
        UserError: a mistake in the raw files.
    """
    place = Place(
        dataset=params["dataset"],
        language=params["language"],
        split=params["split"],
        labels=tuple(params.get("labels") or ()),
    )
    try:
        made = _tables(params, inputs, place, options)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        files = ", ".join(dict.fromkeys(f"{path.parent.name}/{path.name}" for path in inputs.values()))
        raise UserError(
            f"not in the form that its reader {params['reader']!r} knows: {type(error).__name__}: {error}",
            where=f"{place.dataset}/{place.language}/{place.split}, {files or 'no file'}",
        ) from error
    table = limited(made.table, params["format"], params.get("limit"), params.get("limit_seed", 0))
    counts = {
        "format": params["format"],
        "rows": len(table),
        "read": made.read,
        "whole": bool(params.get("whole")),
        "labelled": bool(params.get("labelled", True)),
        "script": params.get("script"),
        **content_counts(table, params["format"]),
    }
    if params["reader"] == "union":
        counts["parts"] = list(dict.fromkeys(part["dataset"] for part in params["options"]["parts"]))
    if params.get("options", {}).get("derive_ids"):
        names = Counter(name.rpartition("-")[0] for name in table["id"].to_pylist())
        counts["repeated_ids"] = sum(count for count in names.values() if count > 1)
    return table, counts


def _tables(
    params: Mapping[str, Any], inputs: Mapping[str, Path], place: Place, settings: Mapping[str, Any]
) -> Assembled:
    reader, options = params["reader"], params.get("options", {})
    if reader == "miniworld":
        table = _generated(options, params["format"], place)
        return Assembled(table=table, read=len(table))
    if reader == "union":
        return _union(options["parts"], inputs, params["format"], place, settings)
    if reader == "hub":
        return assemble(_fetched(options, place, settings), params["format"], options, place)
    return assemble(read(reader, inputs, options, place), params["format"], options, place)


def _union(
    parts: list[Mapping[str, Any]], inputs: Mapping[str, Path], kind: str, place: Place, settings: Mapping[str, Any]
) -> Assembled:
    """The parts one after the other; a part's dataset is put before its ids, so that ids stay unique."""
    tables, count = [], 0
    for number, part in enumerate(parts):
        mark = f"{number}."
        files = {name.removeprefix(mark): path for name, path in inputs.items() if name.startswith(mark)}
        whence = replace(place, dataset=part["dataset"], split=part["split"])
        made = _tables({**part, "format": kind}, files, whence, settings)
        ids = pc.binary_join_element_wise(part["dataset"], made.table["id"], ":").combine_chunks()
        split = pa.repeat(pa.scalar(place.split, pa.string()), len(made.table))
        columns = {**{name: made.table[name] for name in made.table.column_names}, "id": ids, "split": split}
        tables.append(pa.table(columns, schema=SCHEMAS[kind]))
        count += made.read
    return Assembled(table=pa.concat_tables(tables), read=count)


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
    """How often each label, token and side occurs, where the format has them."""
    if kind in ("pair_classification", "multiple_choice"):
        return {"labels": _counts(table["label"])}
    if kind == "tagging":
        return {"labels": _counts(pc.list_flatten(table["tags"])), "tokens": len(pc.list_flatten(table["words"]))}
    if kind in ("bitext_mining", "qa_retrieval", "entity_linking"):
        return {"sides": _counts(table["side"])}
    return {}


def _counts(values: pa.ChunkedArray) -> dict[str, int]:
    found = {str(entry["values"]): entry["counts"] for entry in pc.value_counts(values).to_pylist()}
    return dict(sorted(found.items()))
