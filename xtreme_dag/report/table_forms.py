"""Forms of a table for a paper: LaTeX (booktabs), Markdown or CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from xtreme_dag.report.figures import MINUS

FORMATS = ("latex", "markdown", "csv")
_SIGNS = {
    "latex": {"up": r"$^{\uparrow}$", "down": r"$^{\downarrow}$"},
    "markdown": {"up": " \N{UPWARDS ARROW}", "down": " \N{DOWNWARDS ARROW}"},
}
_TITLES = {"low": "low", "high": "high", "spread": "sd", "mark": "decided"}
MARKS = {"": "", "up": "better", "down": "worse"}
"""How a mark is said."""
_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number of a table.

    Attributes:
        value: the number; None for an empty cell.
        low, high: its interval; None where it has none.
        spread: its standard deviation over seeds; None where it has none.
        best: whether it is the best of its column.
        mark: `up` or `down` where the difference behind it is decided; else empty.
        signed: whether it is a difference.
        digits: decimals, if not those that were asked for.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    best: bool = False
    mark: str = ""
    signed: bool = False
    digits: int | None = None


Cell = Figure | str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table, before it has a form.

    Attributes:
        name: of the table, for its label.
        caption: what it shows, and what its marks mean.
        heads: heads of the columns.
        rows: the cells; columns of text first.
    """

    name: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def written(table: Table, form: str, digits: int = 1) -> str:
    """A table as text.

    Args:
        table: the table.
        form: one of `FORMATS`. `latex` needs the package booktabs.
        digits: decimals.
    """
    return {"latex": _latex, "markdown": _markdown, "csv": _csv}[form](table, digits)


def _latex(table: Table, digits: int) -> str:
    texts = _text_columns(table)
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering",
        f"\\begin{{tabular}}{{{'l' * texts}{'r' * (len(table.heads) - texts)}}}",
        "\\toprule",
        " & ".join(map(_escaped, table.heads)) + " \\\\",
        "\\midrule",
        *(" & ".join(_latex_cell(cell, digits) for cell in row) + " \\\\" for row in table.rows),
        "\\bottomrule",
        "\\end{tabular}",
        f"\\caption{{{_caption(table.caption, 'latex')}}}",
        f"\\label{{tab:{table.name}}}",
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_cell(cell: Cell, digits: int) -> str:
    if isinstance(cell, str):
        return _escaped(cell)
    if cell.value is None:
        return "--"
    text = _number(cell, cell.value, digits).replace(MINUS, "$-$")
    text = f"\\textbf{{{text}}}" if cell.best else text
    if cell.low is not None and cell.high is not None:
        low, high = (_number(cell, value, digits).replace(MINUS, "$-$") for value in (cell.low, cell.high))
        text += f" [{low}, {high}]"
    if cell.spread is not None:
        text += f" $\\pm$ {cell.spread:.{digits}f}"
    return text + _SIGNS["latex"].get(cell.mark, "")


def _markdown(table: Table, digits: int) -> str:
    texts = _text_columns(table)

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rule = "|" + "|".join("---" if place < texts else "---:" for place in range(len(table.heads))) + "|"
    rows = [line([_markdown_cell(cell, digits) for cell in row]) for row in table.rows]
    return "\n".join([line(table.heads), rule, *rows, "", _caption(table.caption, "markdown")]) + "\n"


def _markdown_cell(cell: Cell, digits: int) -> str:
    if isinstance(cell, str):
        return cell
    if cell.value is None:
        return ""
    text = _number(cell, cell.value, digits)
    text = f"**{text}**" if cell.best else text
    if cell.low is not None and cell.high is not None:
        text += f" [{_number(cell, cell.low, digits)}, {_number(cell, cell.high, digits)}]"
    if cell.spread is not None:
        text += f" \N{PLUS-MINUS SIGN} {cell.spread:.{digits}f}"
    return text + _SIGNS["markdown"].get(cell.mark, "")


def _csv(table: Table, digits: int) -> str:
    """Numbers alone, rounded as asked; what another cell says of one is a column of its own."""
    extra = {
        place: [
            name
            for name in ("low", "high", "spread", "mark")
            if any(isinstance(row[place], Figure) and getattr(row[place], name) not in (None, "") for row in table.rows)
        ]
        for place in range(len(table.heads))
    }
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([
        title for place, head in enumerate(table.heads) for title in (head, *(f"{head} {_TITLES[name]}" for name in extra[place]))
    ])  # fmt: skip
    for row in table.rows:
        cells: list[str] = []
        for place, cell in enumerate(row):
            if isinstance(cell, str):
                cells.append(cell)
                continue
            decimals = digits if cell.digits is None else cell.digits
            cells.append(_plain(cell.value, decimals))
            for name in extra[place]:
                value = getattr(cell, name)
                cells.append(MARKS[value] if name == "mark" else _plain(value, decimals))
        writer.writerow(cells)
    return text.getvalue()


def _plain(value: float | None, digits: int) -> str:
    text = "" if value is None else f"{value:.{digits}f}"
    return text.removeprefix("-") if text and float(text) == 0 else text


def _number(cell: Figure, value: float, digits: int) -> str:
    decimals = digits if cell.digits is None else cell.digits
    if cell.digits is not None and 0 <= value < 10.0**-decimals:
        return f"<{10.0**-decimals:.{decimals}f}"
    text = _plain(value, decimals)
    sign = "+" if cell.signed and not text.startswith("-") and float(text) != 0 else ""
    return sign + text.replace("-", MINUS)


def _text_columns(table: Table) -> int:
    return sum(all(isinstance(row[place], str) for row in table.rows) for place in range(len(table.heads)))


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def _caption(text: str, form: str) -> str:
    """A caption with the marks of the form; `{up}`, `{down}` and `$\\pm$` are the only ones that it can have."""
    signs = {name: sign.strip() for name, sign in _SIGNS[form].items()}
    parts = re.split(r"(\{up\}|\{down\}|\$\\pm\$)", text)
    made = []
    for part in parts:
        if part.strip("{}") in signs and part.startswith("{"):
            made.append(signs[part.strip("{}")])
        elif part == "$\\pm$":
            made.append(part if form == "latex" else "\N{PLUS-MINUS SIGN}")
        else:
            made.append(_escaped(part) if form == "latex" else part)
    return "".join(made)
