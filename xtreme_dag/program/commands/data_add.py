"""The command `data add`: files of the user's own, or a dataset of the hub, become one of their own catalogue."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xtreme_dag.core.errors import UserError
from xtreme_dag.program.output import Answer, answers, say

if TYPE_CHECKING:
    from xtreme_dag.data.adding import Added
    from xtreme_dag.data.looking import Looked

EXAMPLE = """\b
Examples:
  xtreme-dag data add nli/train-qu.tsv nli/test-nah.tsv --name andes_nli
  xtreme-dag data add ner.txt --name andes_ner --language qu --split train
  xtreme-dag data add someone/afrinli --config swa --name afrinli --trained-on mnli/train
  xtreme-dag data add pairs.csv --column text_a=first --column text_b=second --language qu --split test
"""
_SUFFIXES = (".tsv", ".csv", ".jsonl", ".json", ".conllu", ".txt", ".gz", ".bz2", ".xz")
_NAME = re.compile(r"[a-z0-9_]+")


@click.command(name="add", epilog=EXAMPLE)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--name", help="Of the dataset: lower-case letters, digits, _ (default: what the file names have in common).")  # fmt: skip
@click.option("--language", help="Of all the files, where their names do not say it.")
@click.option("--split", type=click.Choice(["train", "dev", "test"]), help="Of all the files, likewise.")
@click.option("--column", "columns", multiple=True, metavar="COLUMN=NAME", help="What a column is called in the files: text_a, text_b, label, id, context, question, choices.")  # fmt: skip
@click.option("--language-name", "names", multiple=True, metavar="CODE=NAME", help="Name of a language that is new.")
@click.option("--revision", help="Of a dataset of the hub: a commit or branch (default: the newest commit).")
@click.option("--config", help="Of a dataset of the hub: a configuration, where it has several.")
@click.option("--title", default="", help="Full name of the dataset.")
@click.option("--licence", default="", help="Of the data.")
@click.option("--citation", default="", help="The paper.")
@click.option("--trained-on", default="", metavar="DATASET/SPLIT", help="What its task is trained on, if not on its own train split.")  # fmt: skip
@click.option("--more", is_flag=True, help="Add the files to a dataset that is there; its entry is written anew.")
@click.option("--to", "folder", default=".", show_default=True, type=click.Path(file_okay=False, path_type=Path), help="Your catalogue's folder: it gets `catalogue/`, `contracts/`, `languages.csv`.")  # fmt: skip
@answers
def add(
    files: tuple[Path, ...], name: str | None, language: str | None, split: str | None, columns: tuple[str, ...],
    names: tuple[str, ...], revision: str | None, config: str | None, title: str, licence: str, citation: str, trained_on: str, more: bool, folder: Path,
) -> Answer:  # fmt: skip
    """Look at files of yours, say what they hold, and write the entry and the contract of a dataset.

    TSV or CSV with a header, JSON lines, SQuAD's JSON, CoNLL-U, or a word and a tag a line; .gz, .bz2 or .xz too.
    Language and split are read from the file names, or asked. The files stay where they are. In place of files, an
    OWNER/NAME of the hub: its rows at one commit are copied into `data/` beside the catalogue.
    """
    from xtreme_dag.data.adding import Told, add
    from xtreme_dag.data.looking import as_json, look

    said = _pairs(columns, "--column")
    if taken := _of_the_hub(files, folder, revision, config):
        name, files, where = name or taken[0], tuple(taken[1]), taken[2]
        title = title or where
    elif revision or config:
        raise click.UsageError("--revision and --config are for a dataset of the hub: OWNER/NAME")
    found = []
    for path in files:
        say(f"reading {path}")
        found.append(_complete(look(path, columns=said, language=language, split=split)))
    told = Told(
        name=_name(name or _in_common(found)),
        title=title,
        licence=licence,
        citation=citation,
        names=_pairs(names, "--language-name"),
        trained_on=trained_on,
        more=more,
    )
    added = add(found, told, folder)
    value = {
        "dataset": told.name,
        "files": [as_json(one) for one in found],
        "written": added.files,
        "target": added.target,
    }
    return Answer(value=value, text=_text(found, added))


def _of_the_hub(
    files: Sequence[Path], folder: Path, revision: str | None, config: str | None
) -> tuple[str, list[Path], str] | None:
    """A name, the files and the origin of a dataset of the hub, copied; None if paths of files are given.

    Raises:
        UserError: a file that is not there, or see `data.taking.take`.
    """
    absent = [path for path in files if not path.exists()]
    if not absent:
        return None
    from xtreme_dag.data.taking import ID, take

    origin = str(absent[0])
    if len(files) > 1 or not ID.fullmatch(origin) or Path(origin).suffix in _SUFFIXES:
        raise UserError("no such file", where=origin, fix="give files, or one OWNER/NAME of the hub")
    say(f"asking the hub for {origin}")
    name = re.sub(r"[^a-z0-9]+", "_", origin.rpartition("/")[2].lower()).strip("_")
    commit, taken = take(origin, folder / "data" / name, revision=revision, config=config)
    return name, taken, f"{origin} of the hub at {commit}"


def _complete(found: Looked) -> Looked:
    """A file with its language and split, which a person at a terminal is asked for.

    Raises:
        UserError: one is not known, and there is nobody to ask.
    """
    for what, valid in (("language", None), ("split", ["train", "dev", "test"])):
        if getattr(found, what) is None:
            if not _person():
                said = f"the name of the file does not say its {what}"
                raise UserError(
                    said, where=str(found.path), fix=f"say it with --{what}, or put it into the name: train-de.tsv"
                )
            answer = click.prompt(f"{what} of {found.path}", type=click.Choice(valid) if valid else str, err=True)
            found = replace(found, language=answer) if what == "language" else replace(found, split=answer)
    return found


def _person() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UserError(f"{name!r} is not lower-case letters, digits, _", where="--name")
    return name


def _in_common(found: Sequence[Looked]) -> str:
    """A name from what is in the names of all files, but for language and split; else from their folder's."""
    said = {part for one in found for part in (str(one.language), str(one.split))} | {"validation", "valid", "training"}
    parts = [
        [part for part in re.split(r"[^a-z0-9]+", one.path.name.lower().partition(".")[0]) if part] for one in found
    ]
    common = [part for part in parts[0] if part not in said and all(part in other for other in parts)]
    return "_".join(common) or re.sub(r"[^a-z0-9]+", "_", found[0].path.absolute().parent.name.lower()).strip("_")


def _pairs(given: Sequence[str], option: str) -> Mapping[str, str]:
    made = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals:
            raise UserError(f"{one!r} has no =", where=option, fix="see `xtreme-dag data add --help`")
        made[key] = value
    return made


def _text(found: Sequence[Looked], added: Added) -> Iterator[str]:
    for one in found:
        columns = {
            name: value
            for name, value in one.options.items()
            if isinstance(value, str | list) and name != "label_values"
        }
        told = "; ".join(
            f"{name}: {value if isinstance(value, str) else ', '.join(value)}" for name, value in columns.items()
        )
        labels = f", {len(one.labels)} labels ({' '.join(one.labels[:8])})" if one.labels else ""
        yield f"{one.path}: {one.format}, language {one.language}, split {one.split}, {one.rows:,} rows{labels}"
        yield f"  read by {one.reader}{f' ({told})' if told else ''}"
    yield from (f"written: {path}" for path in added.files)
    dataset = added.dataset
    yield f"look at it: xtreme-dag data show {dataset.name} {dataset.languages[0]}"
    yield f"check it:   xtreme-dag data check --dataset {dataset.name}"
    if added.target:
        yield f"use it:     targets: [{dataset.name}] in a study"
    else:
        yield "it can be trained on; for a target task it needs a test split, and a train split or --trained-on DATASET/SPLIT"
