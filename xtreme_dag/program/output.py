"""Output of commands: an answer as JSON or as text, progress on stderr, aligned tables."""

from __future__ import annotations

import functools
import json
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from xtreme_dag.core.aligning import aligned_columns
from xtreme_dag.core.errors import printable


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The result of a command, for programs and for people; see `answers`.

    Attributes:
        value: for programs: JSON values.
        text: for people: lines, made only if they are printed.
        warnings: lines for stderr, not printed with `--json`: `value` should have them too.
        ok: whether the program ends with exit code 0; else with 1.
    """

    value: Any
    text: Iterable[str] = ()
    warnings: Iterable[str] = ()
    ok: bool = True


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--json`: `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(command)


def answers(command: Callable[..., Answer]) -> Callable[..., Any]:
    """Adds `--json` to a command that returns an `Answer`, prints the form that was asked for, and exits 1 if not ok."""

    @json_option
    @functools.wraps(command)
    def printing(*, as_json: bool, **values: Any) -> None:
        answer = command(**values)
        if as_json:
            print_json(answer.value)
        else:
            for warning in answer.warnings:
                click.echo(f"warning: {printable(warning)}", err=True)
            for line in answer.text:
                click.echo(printable(line))
        if not answer.ok:
            sys.exit(1)

    return printing


def say(line: str) -> None:
    """Prints a line of progress on stderr, unless the command was called with `--json`."""
    if not click.get_current_context().params.get("as_json"):
        click.echo(printable(line), err=True)


def print_json(value: Any) -> None:
    """Prints one JSON document; values that JSON has no type for (paths, times) become strings."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=1, default=str))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[int] = ()) -> str:
    """Aligned columns under their heads.

    On a terminal long cells are folded to its width; elsewhere nothing is folded, shortened or coloured.

    Args:
        heads: heads of the columns.
        rows: the cells.
        right: places of the columns that are aligned to the right.
    """
    cells, terminal = [list(row) for row in rows], sys.stdout.isatty()
    plain = "\n".join(aligned_columns(heads, cells, right))
    from rich.cells import cell_len

    if not terminal or max(map(cell_len, plain.splitlines())) <= shutil.get_terminal_size().columns:
        return plain
    return _folded(heads, cells, right)


def _folded(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int]) -> str:
    """Columns that fit into the terminal, with long cells in several lines."""
    from rich.console import Console
    from rich.rule import Rule
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="none")
    for place, head in enumerate(heads):
        grid.add_column(Text(head), justify="right" if place in right else "left", overflow="fold")
    grid.add_row(*(Rule(characters="-", style="none") if head else "" for head in heads))
    for row in rows:
        grid.add_row(*map(Text, row))
    console = Console(force_terminal=True, highlight=False)
    with console.capture() as printed:
        console.print(grid)
    return "\n".join(line.rstrip() for line in printed.get().splitlines())
