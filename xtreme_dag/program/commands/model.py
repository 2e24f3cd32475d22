"""`xtreme-dag model`: convert model folders, and export the models of a study."""

from __future__ import annotations

from pathlib import Path

import click

from xtreme_dag.core.home import Home
from xtreme_dag.program.options import home_option
from xtreme_dag.program.output import Answer, answers

EXAMPLE = """\b
Examples:
  xtreme-dag model convert downloads/xlm-roberta-base models/xlm-roberta-base
  xtreme-dag model export "target[xnli | mixed | seed 1]" exported/xnli
"""


@click.group(name="model", epilog=EXAMPLE)
def command() -> None:
    """Model folders: turn pickled weights into safetensors, export a study's model to transformers."""


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


@command.command(name="export")
@click.argument("stage")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--head", help="Which head, where the model has several.")
@click.option("--study", help="Whose stage, where several studies have one of this name.")
@click.option("--base", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="The base model's folder, where STAGE keeps a LoRA adapter beside a model that is not in the store.")  # fmt: skip
@click.option("--push", "repository", metavar="REPO", help="Put it on the hub too, as OWNER/NAME (token: $HF_TOKEN).")
@answers
@home_option
def export_command(
    stage: str, out: Path, head: str | None, study: str | None, base: Path | None, repository: str | None, home: Home
) -> Answer:
    """Write OUT: the model of STAGE as a folder that transformers loads by itself.

    The class is the head's own (AutoModelForTokenClassification, ...); where transformers has none that computes the
    same, the encoder with the head's weights beside it. README.md is the model card: how to use it, where it comes from,
    its scores, its data and their licences. An adapter (LoRA) that was kept by itself is merged into its base model.
    STAGE may also be a model folder.

    \b
    Example: xtreme-dag model export "target[xnli | mixed | seed 1]" exported/xnli
    """
    from xtreme_dag.report.model_export import export_stage, hub, push

    api = hub() if repository else None
    done = export_stage(home, stage, out.absolute(), head=head, study=study, base=base)
    address = push(api, out, repository) if repository else None
    return Answer(
        value={**vars(done), "out": out, "pushed": address},
        text=[
            f"{out}: {done.class_name}, {done.parameters:,} weights; README.md shows its use",
            *(["the adapter is merged into its base model"] if done.merged else []),
            *([f"pushed: {address}"] if address else []),
        ],
    )
