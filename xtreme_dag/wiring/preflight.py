"""What is wrong with a model folder, found before anything runs: its files, its weights' names, and its tokenizer.

Neither the weights are read nor torch is imported here: the headers of the safetensors files say what is in them, and
`layouts` what must be. Only where that does not tell, `model.trial` loads the folder without its weights, in a process
of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.graph import Graph, Source
from xtreme_dag.tables.tokenizer import TextTokenizer
from xtreme_dag.tables.tokenizer_files import load_tokenizer, require_tokenizer, tokenizer_folder
from xtreme_dag.wiring.kinds import TRANSLATE
from xtreme_dag.wiring.layouts import verdict
from xtreme_dag.wiring.model_files import Finding, faults_of_files, json_of, pointers, shapes_of, weights_of
from xtreme_dag.wiring.slow_vocabulary import unlike

_TRIAL_SECONDS = 120
_SENTENCEPIECE = ("*.model", "*.spm")
# Tokenizers of transformers that split words with sacremoses.
_MOSES = ("xlm", "flaubert", "biogpt", "fsmt")
# An Egyptian hieroglyph: a letter, so that no normaliser drops it, and in hardly any vocabulary.
_RARE = "\U00013001"


Trial = Callable[[Path], Mapping[str, Any]]


def preflight(folder: Path, trial: Trial | None = None) -> list[Finding]:
    """All that is found in a model folder, faults first.

    Args:
        folder: a base model's folder, or an artifact with `encoder/` and `tokenizer/`.
        trial: as `model.trial.trial`, asked where names and shapes alone do not tell; in a process of its own by
            default, which takes seconds.
    """
    encoder = folder / "encoder" if (folder / "encoder").is_dir() else folder
    files = [*pointers(folder), *faults_of_files(encoder)]
    found = list(files)
    rows = None
    if not any(finding.fatal for finding in files):
        weights = {path: shapes_of(path) for path in weights_of(encoder)}
        said = verdict(encoder, json_of(encoder / "config.json"), weights) or (trial or _in_a_process)(folder)
        if said["error"] is not None:
            found.append(Finding(**said["error"]))
        else:
            rows = int(said["rows"])
            if not said["head"]:
                words = "the checkpoint has no masked language modelling head"
                found.append(Finding(where=str(encoder), what=words, fix="an mlm head would be fresh", fatal=False))
        for line in said["lines"]:
            where, _, what = line.partition(": ")
            found.append(Finding(where=where, what=what, fatal=False))
    if not any(finding.where.endswith(("tokenizer.json", ".model", ".spm")) for finding in files):
        found += _tokenizer(folder, rows)
    return sorted(found, key=lambda finding: not finding.fatal)


def translators(graph: Graph) -> list[Finding]:
    """Faults of the files of the models that a study translates by: what is missing, cut off, or only a pointer."""
    sources = (stage.inputs.get("model") for stage in graph if stage.of is TRANSLATE)
    folders = dict.fromkeys(Path(source.path) for source in sources if isinstance(source, Source))
    return [finding for folder in folders for finding in _translator(folder)]


def _translator(folder: Path) -> Iterator[Finding]:
    files = [*pointers(folder), *faults_of_files(folder)]
    yield from files
    if not files and not weights_of(folder):
        fix = f"convert pickled ones, if you trust them: xtreme-dag model convert {folder} OUT"
        yield Finding(where=str(folder), what="the model has no weights in safetensors", fix=fix)
    try:
        require_tokenizer(folder)
    except UserError as error:
        yield Finding(where=error.where, what=error.what, fix=error.fix)
        return
    if not (folder / "tokenizer.json").is_file() and (lacking := _packages(folder, folder)):
        yield lacking


def _in_a_process(folder: Path) -> Mapping[str, Any]:
    """The trial, by a process of its own."""
    command = [sys.executable, "-m", "xtreme_dag.core.processes", "xtreme_dag.model.trial", str(folder)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_TRIAL_SECONDS, check=False
        )
        said: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        # A busy machine is no fault of the model; the stage that loads it says the same.
        what = f"the names of its weights were not compared: that took longer than {_TRIAL_SECONDS} s"
        return {"error": {"what": what, "where": str(folder), "fatal": False}, "lines": []}
    except (ValueError, IndexError):
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:200]
        return {"error": {"what": f"loading it without weights failed ({reason})", "where": str(folder)}, "lines": []}
    return said


def _tokenizer(folder: Path, rows: int | None) -> Iterator[Finding]:
    """What is wrong with the tokenizer, by loading and asking it."""
    files = tokenizer_folder(folder)
    whole = files / "tokenizer.json"
    where = str(whole if whole.is_file() else files)
    if not whole.is_file() and (lacking := _packages(folder, files)):
        yield lacking
        return
    try:
        tokenizer = load_tokenizer(folder)
    except UserError as error:
        yield Finding(where=error.where or where, what=error.what, fix=error.fix)
        return
    except Exception as error:  # tokenizers raises its plain Exception for damaged files
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        yield Finding(where=where, what=f"the tokenizer cannot be loaded ({reason})", fix="take it as published")
        return
    largest = max(tokenizer.vocabulary.values())  # ids may have gaps
    if rows is not None and largest >= rows:
        yield Finding(
            where=where,
            what=f"its vocabulary reaches id {largest:,}, and the model has {rows:,} embeddings",
            fix="tokenizer and weights must be of one model",
        )
    yield from _behaviour(tokenizer, where)
    yield from _disagreements(tokenizer, files)


def _packages(folder: Path, files: Path) -> Finding | None:
    """A package that is needed to read a tokenizer without `tokenizer.json`."""
    config = json_of(
        next((path for path in (folder / "encoder/config.json", folder / "config.json") if path.is_file()), folder)
    )
    kind = config.get("model_type") if isinstance(config, dict) else None
    for package, needed in (
        ("sentencepiece", any(True for pattern in _SENTENCEPIECE for _ in files.glob(pattern))),
        ("sacremoses", kind in _MOSES and (files / "vocab.json").is_file()),
    ):
        if needed and find_spec(package) is None:
            return Finding(
                where=str(files),
                what=f"the tokenizer has no tokenizer.json, and reading it needs {package}, which is not installed",
                fix=f"install the extra `{package}`, or add tokenizer.json",
            )
    return None


def _behaviour(tokenizer: TextTokenizer, where: str) -> Iterator[Finding]:
    """What the tokenizer does to a text, two texts and a character that it cannot know."""
    try:
        one, two = tokenizer.frame(pair=False), tokenizer.frame(pair=True)
    except UserError as error:
        yield Finding(where=where, what=error.what, fix=error.fix)
        return
    fix = "take a tokenizer with the model's template of special tokens"
    if not one.before:
        yield Finding(
            where=where, what="it puts no token before a text; heads read the first word", fix=fix, fatal=False
        )
    if not two.between:
        yield Finding(where=where, what="it puts no separator between two texts", fix=fix)
    try:
        known = tokenizer.encode([_RARE], None, 16).ids
    except Exception:  # tokenizers raises its plain Exception where the unknown token is not in the vocabulary
        known = None
    if known is None or len(known) <= one.size:
        yield Finding(
            where=where,
            what="it has no token for the unknown: characters outside its vocabulary are lost",
            fix="name an unk token that its vocabulary has",
        )


def _disagreements(tokenizer: TextTokenizer, files: Path) -> Iterator[Finding]:
    """Where `tokenizer.json`, which is used, says something else than the files beside it."""
    settings = json_of(files / "tokenizer_config.json")
    lower = settings.get("do_lower_case") if isinstance(settings, dict) else None
    whole = files / "tokenizer.json"
    if isinstance(lower, bool) and whole.is_file() and lower != tokenizer.lower_cases:
        does = "lower-cases" if tokenizer.lower_cases else "keeps capitals"
        yield Finding(
            where=str(files / "tokenizer_config.json"),
            what=f"do_lower_case is {str(lower).lower()}, and tokenizer.json {does}",
            fix="tokenizer.json is used; make sure that it is the model's",
            fatal=False,
        )
    slow = unlike(files, tokenizer.vocabulary) if whole.is_file() else None
    if slow is not None and slow[2]:
        name, size, other = slow
        yield Finding(
            where=str(whole),
            what=f"{len(other)} of the {size} words of {name}, the slow tokenizer's, have another id here or none: "
            + ", ".join(map(repr, other[:3])),
            fix="tokenizer.json is used; make sure that it is the model's",
            fatal=False,
        )
