"""`xtreme-dag new`: write a study to edit, from one that comes with the program."""

from __future__ import annotations

import re
from pathlib import Path

import click

from xtreme_dag.core.beside import shipped_studies
from xtreme_dag.core.errors import UserError, nearest
from xtreme_dag.program.output import Answer, answers


@click.command()
@click.argument("name")
@click.option("--from", "origin", default="demo", show_default=True, metavar="STUDY", help="Which one; `xtreme-dag studies` lists them.")  # fmt: skip
@answers
def command(name: str, origin: str) -> Answer:
    """Write NAME.yaml here: a copy of a shipped study under a name of its own, comments included.

    \b
    Example: xtreme-dag new mine --from real_small
             xtreme-dag plan mine.yaml
    """
    shipped = shipped_studies()
    if origin not in shipped:
        raise UserError(f"no study {origin!r} comes with the program", where="--from", fix=nearest(origin, shipped))
    from xtreme_dag.study.sections import NAME

    if not re.fullmatch(NAME, name):
        raise UserError(f"{name!r} is not lower-case letters, digits, _ + -", where="NAME")
    if name in shipped:
        raise UserError(f"a study of the program is called {name!r}", where="NAME", fix="take another name")
    text, changed = re.subn(r"(?m)^study: .*$", f"study: {name}", shipped[origin].read_text(encoding="utf-8"), count=1)
    assert changed == 1  # every study has its name on a line of its own
    path = Path(f"{name}.yaml")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError("is there already", where=str(path), fix="take another name, or delete it") from None
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", where=str(path)) from None
    return Answer(value={"file": str(path), "from": origin}, text=[str(path), f"edit it, then: xtreme-dag plan {path}"])
