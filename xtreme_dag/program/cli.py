"""The entry point `xtreme-dag`: finds its commands and prints errors.

A command is one module of `commands/`: its first line is its docstring, of the form "`xtreme-dag NAME`: what it does.",
which the program's help shows, and it has a click command named `command`. It is imported when it is called, so `--help`
is quick.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from xtreme_dag import __version__
from xtreme_dag.core.disk import told_of
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.core.processes import quick_start

_FOLDER = Path(__file__).parent / "commands"
_FIRST_LINE = re.compile(r'"""`xtreme-dag ([a-z-]+)`: (.+?)\.?(?:""")?$')


def _commands() -> dict[str, tuple[str, str]]:
    """Name -> (module, what it does in a line) of each command, from the first lines of the files; imports none."""
    found = {}
    for path in sorted(_FOLDER.glob("*.py")):
        with path.open(encoding="utf-8") as file:
            said = _FIRST_LINE.match(file.readline().rstrip())
        if said:
            found[said[1]] = (path.stem, f"{said[2][0].upper()}{said[2][1:]}.")
    return found


COMMANDS = _commands()


class _Program(click.Group):
    """Finds commands by name, suggests the nearest one, and prints errors in one or two lines."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"xtreme_dag.program.commands.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        _with_catalogue(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command {args[0]!r}; {nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader of our output (head, less) has seen enough: no failure of ours. click would exit with 1.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ctx.exit(0)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_module, line) in COMMANDS.items()])


def _with_catalogue(command: click.Command) -> None:
    """Adds `--catalogue` to a command, and to those of a group."""
    from xtreme_dag.program.options import catalogue_option

    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _with_catalogue(inner)
    elif catalogue_option not in command.params:
        command.params.append(catalogue_option)


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(__version__)
def program(debug: bool) -> None:
    """Cross-lingual transfer studies as a DAG of cached stages, answered in SQL.

    \b
    First steps: xtreme-dag demo
                 xtreme-dag plan demo
                 xtreme-dag run demo
                 xtreme-dag compare --study demo
    """
    if debug:
        os.environ["XTREME_DAG_DEBUG"] = "1"
    from xtreme_dag.program.options import look_around  # not for `--help`, which is quick

    look_around()


def main(arguments: list[str] | None = None) -> None:
    """Runs the program; errors go to stderr in one or two lines, with exit code 1 (2 for wrong usage)."""
    quick_start()
    try:
        code: Any = program.main(args=arguments, prog_name="xtreme-dag", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except UserError as error:
        _fail(str(error), error)
    except click.UsageError as error:
        hint = f"\n  see {error.ctx.command_path} --help" if error.ctx else ""
        print(f"{error.format_message()}{hint}", file=sys.stderr)
        sys.exit(2)
    except click.ClickException as error:
        _fail(error.format_message(), error)
    except (KeyboardInterrupt, click.Abort):
        with suppress(OSError):  # the terminal may be closed
            print("stopped", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if told := told_of(error):
            _fail(str(told), error)
        _fail(
            f"{type(error).__name__}: {error}".splitlines()[0]
            + "\n  this is a defect; xtreme-dag --debug ... shows the traceback",
            error,
        )


def _fail(message: str, error: BaseException) -> None:
    if os.environ.get("XTREME_DAG_DEBUG"):
        raise error
    print(message, file=sys.stderr)
    sys.exit(1)
