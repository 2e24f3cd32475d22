"""Aligned columns of text, for terminals and pipes."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def aligned_columns(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int]) -> list[str]:
    """Lines of columns as wide as their cells, under their heads and a rule; no rule below a head that says nothing.

    Wide characters (Chinese, Japanese, Korean) take two places each. Nothing is wrapped, shortened or coloured.

    Args:
        heads: heads of the columns.
        rows: the cells.
        right: places of the columns that are aligned to the right.
    """
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(heads, *rows, strict=True)]
    rules = ["-" * width if head else "" for head, width in zip(heads, widths, strict=True)]

    def line(cells: Sequence[str]) -> str:
        gaps = [" " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)]
        placed = (
            gap + cell if place in right else cell + gap
            for place, (cell, gap) in enumerate(zip(cells, gaps, strict=True))
        )
        return "  ".join(placed).rstrip()

    return [line(heads), line(rules), *map(line, rows)]
