"""The reference pages, read off the program: commands, keys of a study file, tables of the database, the catalogue."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
import duckdb
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from xtreme_dag.catalogue.catalogue import load_catalogue
from xtreme_dag.core.home import Home
from xtreme_dag.program.cli import program
from xtreme_dag.results import database, views
from xtreme_dag.study import conditions, data_settings, file, pretraining, recipe_settings, sections, train_recipe
from xtreme_dag.study.budget import Sampling

ROOT = Path(__file__).resolve().parents[2]

# The groups of keys, from the whole to its parts: the heading, and the type that says what may stand there.
STUDY: Mapping[str, type[Any]] = {
    "The file": file.Study,
    "`data`": data_settings.Data,
    "`data.miniworld`": data_settings.Miniworld,
    "`data.limit`": data_settings.Limits,
    "`data.allow_overlap`": data_settings.Overlap,
    "`model`": file.Model,
    "`model.pretrain`, `kind: text`": pretraining.TextPretraining,
    "`model.pretrain.model`": pretraining.EncoderShape,
    "`model.pretrain`, `kind: planted`": pretraining.Planting,
    "`intermediate.NAME`": conditions.Condition,
    "`target` of a condition": conditions.Supervision,
    "`mixture`": conditions.Component,
    "`budget`": sections.Budget,
    "`sampling`": Sampling,
    "`objective`": sections.Objective,
    "`translated`, `source_translated`": sections.Translation,
    "`targets.NAME`": file.Target,
    "`train`, `select` of a target": file.Table,
    "`recipe.encode`": recipe_settings.EncodeSettings,
    "`recipe.intermediate`": train_recipe.TrainRecipe,
    "`recipe.target`": recipe_settings.TargetRecipe,
    "`lora` of a recipe": train_recipe.Lora,
    "`recipe.evaluate`": recipe_settings.EvaluateSettings,
    "`compare`": file.Compare,
}


def commands() -> str:
    """Every command with its usage, text, arguments and options."""
    return "# Commands\n\nEvery one has `--help`. Read off the program.\n\n" + "\n".join(_command(program, ()))


def _command(command: click.Command, parents: tuple[str, ...]) -> Iterator[str]:
    context = click.Context(command, info_name=" ".join(("xtreme-dag", *parents)))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from _command(found, (*parents, name))
        return
    words = " ".join(("xtreme-dag", *parents))
    usage = " ".join(command.collect_usage_pieces(context))
    text = re.sub(r"\n\s*\n", "\n\n", inspect.cleandoc(command.help or "").replace("\b\n", ""))
    yield f"## {words}\n\n```\n{words} {usage}\n```\n\n{_escaped(_examples_in_code(text))}\n"
    rows = [option.get_help_record(context) for option in command.params if isinstance(option, click.Option)]
    if rows:
        yield "| option | |\n|---|---|"
        yield from (f"| `{_cell(row[0])}` | {_escaped(_cell(row[1]))} |" for row in rows if row)
        yield ""


def _examples_in_code(text: str) -> str:
    return re.sub(
        r"^(Examples?:)\s*(.+?)(?=\n\n|\Z)",
        lambda found: f"{found[1]}\n\n```\n" + "\n".join(line.strip() for line in found[2].splitlines()) + "\n```",
        text,
        flags=re.MULTILINE | re.DOTALL,
    )


def study() -> str:
    """Every key of a study file: its type, its default and what it means, from the types that read it."""
    lines = [
        "# The study file",
        "",
        "Every key, read off the types that check it; [studies](../studies.md) explains.",
        "",
    ]
    for heading, kind in STUDY.items():
        lines += [f"## {heading}", "", _escaped(_summary(kind)), "", "| key | type | default | |", "|---|---|---|---|"]
        meanings = meanings_of(kind)
        lines += [
            f"| `{name}` | {_escaped(_cell(type_))} | {default} | {_escaped(_cell(meanings.get(name, '')))} |"
            for name, type_, default in _keys(kind)
        ]
        lines.append("")
    return "\n".join(lines)


def _summary(kind: type[Any]) -> str:
    return inspect.cleandoc(kind.__doc__ or "").split("\nAttributes:")[0].strip().replace("\n", " ")


def meanings_of(kind: type[Any]) -> dict[str, str]:
    """Key -> what it means: the section "Attributes" of the docstrings of a type and of those that it is made from."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        _, _, listed = inspect.cleandoc(one.__doc__ or "").partition("\nAttributes:\n")
        for name, text in re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", listed, re.MULTILINE):
            found[name] = re.sub(r"\s+", " ", text)
    return found


def keys_of(kind: type[Any]) -> list[str]:
    """The keys of a group."""
    return [name for name, _, _ in _keys(kind)]


def _keys(kind: type[Any]) -> Iterator[tuple[str, str, str]]:
    found: Mapping[str, Any]
    if issubclass(kind, BaseModel):
        found = kind.model_fields
    else:
        assert is_dataclass(kind), kind
        found = getattr(kind, "__pydantic_fields__", None) or {one.name: one for one in fields(kind)}
    for name, field in found.items():
        yield name, _type(field.annotation), _default(field)


def _default(field: Any) -> str:
    if field.default_factory is not None:
        value = field.default_factory()
    elif field.default is PydanticUndefined:
        return "required"
    else:
        value = field.default
    if value is None or value in ("", (), {}):
        return ""
    if isinstance(value, BaseModel) or is_dataclass(value):
        return ""
    return f"`{json.dumps(value) if isinstance(value, bool | dict) else value}`"


def _type(annotation: Any) -> str:
    """A type in words: `int`, `list of str`, one of the values, `name: ...` for mappings, a group's name."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inner[0])
    if origin is Literal:
        return " or ".join(f"`{str(value).lower() if isinstance(value, bool) else value}`" for value in inner)
    if origin is Union or type(annotation).__name__ == "UnionType":
        return " or ".join(dict.fromkeys(_type(one) for one in inner if one is not type(None)))
    if origin in (tuple, list):
        return f"list of {_type(inner[0])}"
    if origin is not None and issubclass(origin, Mapping):
        return f"mapping to {_type(inner[1])}" if inner[1] is not Any else "mapping"
    if isinstance(annotation, type):
        plain = {int: "whole number", float: "number", str: "text", bool: "true or false", Any: "value"}
        heading = next((name for name, kind in STUDY.items() if kind is annotation), "")
        return plain.get(annotation, heading or annotation.__name__.lower())
    return str(annotation)


def database_page() -> str:
    """Tables, views and macros of the results database with their columns, read off an empty one and its SQL."""
    connection = duckdb.connect()
    database.create(connection)
    views.refresh(connection, Home(database.ROOM))
    said = _comments()
    lines = ["# The database", "", "Read off an empty database of this version; [results](../results.md) explains.", ""]
    for kind, heading in (("BASE TABLE", "Tables"), ("VIEW", "Views")):
        lines += [f"## {heading}", ""]
        query = "SELECT table_name FROM information_schema.tables WHERE table_type = ? ORDER BY 1"
        for (name,) in connection.execute(query, [kind]).fetchall():
            lines += [f"### {name}", "", _escaped(said.get(name, "")), "", "| column | type | |", "|---|---|---|"]
            for column, type_ in connection.execute(
                f'SELECT column_name, column_type FROM (DESCRIBE "{name}")'
            ).fetchall():
                lines.append(f"| `{column}` | {type_} | {_escaped(_cell(said.get(f'{name}.{column}', '')))} |")
            lines.append("")
    lines += ["## Macros", ""]
    query = """SELECT DISTINCT function_name, parameters FROM duckdb_functions()
               WHERE function_type LIKE '%macro%' AND NOT internal ORDER BY 1"""
    for name, parameters in connection.execute(query).fetchall():
        lines += [f"### {name}({', '.join(parameters)})", "", _escaped(said.get(name, "")), ""]
    return "\n".join(lines)


def _comments() -> dict[str, str]:
    """Object or object.column -> the comment beside it in the SQL files."""
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`\w.*?) \| (.*) \|$", page, re.MULTILINE)
    found = {name: _from_reference(text) for names, text in rows for name in _names(names)}
    for path in (database.ROOM / "schema.sql", *database.migrations()):
        for statement in re.split(r";[^\n]*\n", path.read_text(encoding="utf-8")):
            if made := re.search(r"^CREATE TABLE (\w+) \((.*)\)", statement, re.M | re.S):
                for column, note in re.findall(r'^\s+"?(\w+)"? [^\n]*?-- ([^\n]*)$', made[2], re.M):
                    found[f"{made[1]}.{column}"] = note.strip()
    text = (database.ROOM / "views.sql").read_text()
    for name, after in re.findall(r"^CREATE OR REPLACE (?:VIEW|MACRO) (\w+)[^\n]*\n((?:--.*\n)*)", text, re.M):
        if after:
            found[name] = " ".join(line.removeprefix("--").strip() for line in after.splitlines())
    return found


def _from_reference(row: str) -> str:
    """The rest of a row of docs/results.md as text of a page in reference/: links lead from there."""
    return row.replace(" | ", ": ").replace("](#", "](results.md#").replace("](", "](../")


def _names(cell: str) -> list[str]:
    """The tables, views or macros that a row of the page speaks of: `compare(a, b)` is `compare`."""
    return re.findall(r"`(\w+)", cell)


def catalogue() -> str:
    """Tasks and datasets with formats, languages and licences."""
    known = load_catalogue()
    lines = [
        "# The catalogue",
        "",
        "What comes with the program; [bring your own](../howto-bring-your-own.md) adds to it.",
        "",
    ]
    lines += ["## Target tasks", "", "| task | | metric | tested on | averaged over |", "|---|---|---|---|---|"]
    for name, task in sorted(known.tasks.items()):
        over = "; ".join(f"{benchmark}: {len(codes)} languages" for benchmark, codes in sorted(task.languages.items()))
        title = _cell(known.datasets[task.test.dataset].title)
        lines.append(
            f"| `{name}` | {_escaped(title)} | `{task.metric}` | {task.test.dataset}, {task.test.split} | {over} |"
        )
    lines += [
        "",
        "## Datasets",
        "",
        "| dataset | | format | languages of its splits | licence |",
        "|---|---|---|---|---|",
    ]
    for name, entry in sorted(known.datasets.items()):
        splits = "; ".join(f"{split.name}: {' '.join(split.languages)}" for split in entry.splits.values())
        lines.append(
            f"| `{name}` | {_escaped(_cell(entry.title))} | `{entry.format}` | {splits} | {_escaped(_cell(entry.licence))} |"
        )
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def _escaped(text: str) -> str:
    """Text that HTML would swallow: angle brackets outside code."""
    return "".join(
        part if part.startswith("`") else part.replace("<", "&lt;")
        for part in re.split(r"(```.*?```|`[^`]*`)", text, flags=re.S)
    )


PAGES: Mapping[str, Callable[[], str]] = {
    "commands": commands,
    "study": study,
    "database": database_page,
    "catalogue": catalogue,
}
