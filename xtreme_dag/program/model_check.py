"""The pre-flight of a study's model, remembered for as long as the files of its folder are the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import sha256_of, write_atomically
from xtreme_dag.core.home import Home
from xtreme_dag.engine.digests import list_files, read_cache
from xtreme_dag.engine.keys import library_version
from xtreme_dag.wiring.model_files import Finding

if TYPE_CHECKING:
    from xtreme_dag.wiring.build import Built

_MEMORY = "models.json"
_LIBRARIES = ("transformers", "tokenizers", "safetensors", "sentencepiece", "sacremoses")


def findings_of(home: Home, folder: Path, *, remember: bool = False) -> list[Finding]:
    """What the pre-flight finds in a model folder.

    Args:
        home: whose caches know folders that were looked at before.
        folder: of the model.
        remember: write down what was found; a plan leaves no trace.
    """
    states = {name: path.stat() for name, path in list_files(folder).items()}
    marks = [[name, state.st_size, state.st_mtime_ns, state.st_ino] for name, state in states.items()]
    key = sha256_of({"files": marks, "folder": str(folder), "with": [library_version(name) for name in _LIBRARIES]})
    memory = home.caches / _MEMORY
    known, _trouble = read_cache(memory)
    try:
        return [Finding(**entry) for entry in known[key]]
    except (KeyError, TypeError):
        from xtreme_dag.wiring.preflight import preflight  # it imports what reads tokenizers

        click.echo(f"looking at the model in {folder}", err=True)
        found = preflight(folder)
    if remember:
        write_atomically(memory, json.dumps({**known, key: [vars(finding) for finding in found]}))
    return found


def looked_over(home: Home, built: Built, *, remember: bool = False) -> list[Finding]:
    """What the pre-flight finds in the models of a study: the encoder, and those that translate; see `findings_of`."""
    from xtreme_dag.wiring.preflight import translators

    found = [] if built.model is None else findings_of(home, built.model, remember=remember)
    return [*found, *translators(built.graph)]


def refuse_faults(found: Sequence[Finding]) -> None:
    """Raises if a model has faults.

    Raises:
        UserError: a line for each.
    """
    faults = [finding for finding in found if finding.fatal]
    if faults:
        more = "; ".join(map(str, faults[1:]))
        raise UserError(faults[0].what, where=faults[0].where, fix="; ".join(filter(None, [faults[0].fix, more])))
