"""HTML from text: everything that is not markup of ours is escaped."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from typing import Any

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"


def esc(value: object) -> str:
    """Text as HTML shows it, whatever is in it; half a surrogate pair becomes a replacement character."""
    return html.escape(str(value).encode("utf-8", "replace").decode("utf-8"), quote=True)


def number(value: float | None, digits: int = 1) -> str:
    """A number, or nothing."""
    return "" if value is None else f"{value:.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 1) -> str:
    """A difference with its sign."""
    if value is None:
        return ""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)


def interval(low: float | None, high: float | None) -> str:
    """An interval of differences."""
    return "" if low is None or high is None else f"{signed(low)} to {signed(high)}"


def size(count: float | None) -> str:
    """Bytes as a person says them."""
    return "" if not count else f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def table(
    label: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numeric: Iterable[int] = (),
    marks: Sequence[str] | None = None,
) -> str:
    """A table in a box that scrolls; cells are HTML already.

    Args:
        label: what the table shows, for who cannot see where it stands.
        heads: heads of the columns, as text.
        rows: cells, as HTML; the first of each row is its head.
        numeric: places of the columns with numbers.
        marks: a class for each row.
    """
    to_right = set(numeric)

    def cell(tag: str, place: int, content: str, scope: str) -> str:
        kind = ' class="n"' if place in to_right else ""
        return f"<{tag}{scope}{kind}>{content}</{tag}>"

    head = "".join(cell("th", place, esc(name), ' scope="col"') for place, name in enumerate(heads))
    lines = []
    for index, row in enumerate(rows):
        first = cell("th", 0, row[0], ' scope="row"')
        rest = "".join(cell("td", place, content, "") for place, content in enumerate(row[1:], start=1))
        mark = f' class="{marks[index]}"' if marks and marks[index] else ""
        lines.append(f"<tr{mark}>{first}{rest}</tr>")
    return (
        f'<div class="scroll"><table aria-label="{esc(label)}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def inline_json(value: Any) -> str:
    """JSON that can stand inside a script element: no `<`, `>` or `&` that HTML could take for its own."""
    text = json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def inline_script(source: str) -> str:
    """JavaScript that can stand inside a script element."""
    return source.replace("</script", "<\\/script").replace("<!--", "<\\!--")
