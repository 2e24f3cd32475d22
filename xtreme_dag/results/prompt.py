"""The interactive form of `xtreme-dag sql`: a prompt with completion and history."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, WordCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory

from xtreme_dag.core.errors import UserError
from xtreme_dag.results.query import run_query
from xtreme_dag.results.render import render

if TYPE_CHECKING:
    from prompt_toolkit.input import Input
    from prompt_toolkit.output import Output

_KEYWORDS = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "BY",
    "ORDER",
    "LIMIT",
    "HAVING",
    "QUALIFY",
    "JOIN",
    "LEFT",
    "USING",
    "ON",
    "AND",
    "OR",
    "NOT",
    "IN",
    "AS",
    "DESC",
    "ASC",
    "DISTINCT",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "WITH",
    "UNION",
    "ALL",
    "PIVOT",
    "DESCRIBE",
    "SUMMARIZE",
    "SHOW",
    "TABLES",
    "FILTER",
    "OVER",
    "PARTITION",
    "EXCLUDE",
    "NULL",
    "LIKE",
]
_LEAVE = {"exit", "quit", "\\q", ".exit", ".quit"}
_WELCOME = (
    "Ask in SQL. Enter runs a finished statement, Tab completes, `SHOW TABLES` lists what is there, Ctrl-D leaves.\n"
)


class SqlCompleter(Completer):
    """Completes tables, views, macros, columns, values of the short columns, and keywords."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        tables = connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
        columns = connection.execute("SELECT DISTINCT column_name FROM information_schema.columns").fetchall()
        macros = connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE NOT internal"
        ).fetchall()
        values = connection.execute(
            "SELECT DISTINCT unnest([study, condition, task, language, split, metric]) FROM scores"
        ).fetchall()
        words = {row[0]: "column" for row in columns} | {row[0]: "table" for row in tables}
        words |= {f"{row[0]}(": "macro" for row in macros} | dict.fromkeys(_KEYWORDS, "")
        self._words = WordCompleter(sorted(words), ignore_case=True, meta_dict=words)
        found = sorted(row[0] for row in values)
        self._values = WordCompleter(found, ignore_case=True, meta_dict=dict.fromkeys(found, "value"), sentence=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Words that start with what is being typed; inside quotes the values that occur."""
        before = document.text_before_cursor
        if before.count("'") % 2:
            return self._values.get_completions(Document(before.rsplit("'", 1)[1]), complete_event)
        typed = document.get_word_before_cursor()
        return self._words.get_completions(document, complete_event) if typed else ()


def is_finished(connection: duckdb.DuckDBPyConnection, text: str) -> bool:
    """Whether Enter runs the text: it ends in a semicolon, is a word for leaving, or parses as it stands."""
    stripped = text.strip()
    if not stripped or stripped.endswith(";") or stripped.lower() in _LEAVE:
        return True
    try:
        return bool(connection.extract_statements(stripped))
    except duckdb.Error:
        return False


def interact(
    connection: duckdb.DuckDBPyConnection,
    form: str,
    *,
    history: Path | None = None,
    source: Input | None = None,
    sink: Output | None = None,
) -> None:
    """Reads statements and prints their results until the user leaves; an error does not end it.

    Args:
        connection: a connection from `reader`.
        form: how results are printed, as in `render`; parquet is not for a terminal.
        history: file that keeps what was typed.
        source: where keys come from; the terminal by default.
        sink: what the prompt is drawn on; the terminal by default.
    """
    session: PromptSession[str] = PromptSession(
        completer=SqlCompleter(connection),
        complete_while_typing=False,
        multiline=Condition(lambda: not is_finished(connection, session.default_buffer.text)),
        prompt_continuation="   > ",
        history=FileHistory(str(history)) if history else None,
        input=source,
        output=sink,
    )
    print(_WELCOME)
    while True:
        try:
            text = session.prompt("sql> ").strip()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        if text.rstrip(";").lower() in _LEAVE:
            return
        if not text:
            continue
        try:
            print(render(run_query(connection, text), "table" if form == "parquet" else form).decode())
        except UserError as error:
            print(error)
