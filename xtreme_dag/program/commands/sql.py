"""`xtreme-dag sql`: query the results in SQL."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from xtreme_dag.core.home import Home
from xtreme_dag.program.options import home_option

EXAMPLE = """\b
Examples:
  xtreme-dag sql "SELECT * FROM leaderboard"
  xtreme-dag sql "FROM deltas WHERE task = 'xnli' ORDER BY delta DESC" --format json
  xtreme-dag sql "SELECT * FROM predictions WHERE task = 'xnli'" --format parquet -o xnli.parquet
"""


@click.command(epilog=EXAMPLE)
@click.argument("query", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "parquet", "md"]),
    default="table",
    show_default=True,
    help="json: a list of row objects; parquet needs -o or a pipe.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write here instead of stdout.")
@home_option
def command(query: str | None, form: str, output: Path | None, home: Home) -> None:
    """Ask the results in SQL (DuckDB), read-only.

    Without QUERY, on a terminal, an interactive prompt with completion opens; otherwise the query is read from stdin.
    Tables: leaderboard, per_language, deltas, transfer_gap, cost, predictions, ... (`SHOW TABLES`; docs/questions.md).
    """
    from xtreme_dag.core.errors import UserError, printable
    from xtreme_dag.results.query import reader, reads_rows, run_query
    from xtreme_dag.results.render import render

    if query is None and sys.stdin.isatty():
        from xtreme_dag.results.prompt import interact

        with reader(home) as connection:
            interact(connection, form, history=home.root / "sql_history")
        return
    text = sys.stdin.read() if query is None or query == "-" else query
    if form == "parquet" and output is None and sys.stdout.isatty():
        raise UserError("parquet is not for a terminal", where="sql", fix="name a file with -o")
    with reader(home, predictions=reads_rows(text)) as connection:
        content = render(run_query(connection, text), form)
    if form == "csv" and output is None and sys.stdout.isatty():
        content = printable(content.decode()).encode()
    if output is not None:
        output.write_bytes(content)
    else:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
