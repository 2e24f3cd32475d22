"""Tables as text: aligned columns, CSV, JSON, Markdown, Parquet."""

from __future__ import annotations

import csv
import datetime
import io
import json
import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from xtreme_dag.core.aligning import aligned_columns
from xtreme_dag.core.errors import printable

if TYPE_CHECKING:
    import pyarrow as pa


def render(table: pa.Table, form: str) -> bytes:
    """A table in one of the forms `table`, `csv`, `json` (list of row objects), `md`, `parquet`."""
    if form == "parquet":
        import pyarrow.parquet as pq

        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd")
        return sink.getvalue()
    names = list(table.column_names)
    rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True)) if names else []
    if form == "json":
        return (
            json.dumps([dict(zip(names, map(plain, row), strict=True)) for row in rows], ensure_ascii=False, indent=1)
            + "\n"
        ).encode()
    if form == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([["" if value is None else _cell(value) for value in map(plain, row)] for row in rows])
        return text.getvalue().encode()
    return (markdown(names, rows) if form == "md" else aligned(names, rows)).encode()


def plain(value: Any) -> Any:
    """A value as JSON has it: NaN and infinities as null, times as ISO 8601."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (datetime.timedelta, bytes)):
        return str(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)


def aligned(
    names: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Collection[int] | None = None, count: bool = True
) -> str:
    """Aligned columns, the same for a terminal and for a pipe.

    Args:
        names: heads of the columns.
        rows: the cells.
        right: places of the columns that are aligned to the right; by default those with numbers.
        count: end with the number of rows.
    """
    cells = [[_shown(value) for value in row] for row in rows]
    lines = aligned_columns(names, cells, _numeric(names, rows) if right is None else right)
    if count:
        lines.append(f"({len(rows)} row{'' if len(rows) == 1 else 's'})")
    return "\n".join(lines) + "\n"


def _numeric(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> set[int]:
    return {index for index in range(len(names)) if any(_is_number(row[index]) for row in rows)}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def markdown(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    right = _numeric(names, rows)

    def line(values: Sequence[str]) -> str:
        return "| " + " | ".join(value.replace("|", "\\|") for value in values) + " |"

    rule = "|" + "|".join("---:" if index in right else "---" for index in range(len(names))) + "|"
    return "\n".join([line(names), rule, *(line([_shown(value) for value in row]) for row in rows)]) + "\n"


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value


def _shown(value: Any) -> str:
    value = plain(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".") if abs(value) < 1e6 else f"{value:.6g}"
    if isinstance(value, (dict, list)):
        value = json.dumps(value, ensure_ascii=False)
    return printable(" ".join(str(value).split()))
