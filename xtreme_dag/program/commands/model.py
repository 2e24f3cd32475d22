"""`xtreme-dag model`: model folders."""

from __future__ import annotations

from pathlib import Path

import click

EXAMPLE = """\b
Example:
  xtreme-dag model convert downloads/xlm-roberta-base models/xlm-roberta-base
"""


@click.group(name="model", epilog=EXAMPLE)
def command() -> None:
    """Model folders: turn pickled weights into safetensors."""


@command.command(name="convert")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def convert_command(folder: Path, out: Path) -> None:
    """Write OUT: the model of FOLDER with its pickled weights as safetensors.

    The pickle is read in a process without network, and only if it holds nothing but tensors. The configuration, the
    tokenizer and the masked language model's head come with it; the result is loaded once before it counts.

    \b
    Example: xtreme-dag model convert downloads/xlm-roberta-base models/xlm-roberta-base
    """
    from xtreme_dag.wiring.convert import convert

    count = convert(folder.absolute(), out.absolute())
    click.echo(f"{out}: {count} weights in model.safetensors, with configuration and tokenizer")
