"""What is wrong with a model folder, found before anything runs: its files, its tokenizer, and a trial without weights.

Neither the weights are read nor torch is imported here: the headers of the safetensors files say what is in them, and
`model.trial` compares that with the architecture in a process of its own.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.tables.tokenizer import TextTokenizer, load_tokenizer, tokenizer_folder

_POINTER = b"version https://git-lfs"
_LARGE_FILES = ("*.safetensors", "*.model", "*.spm", "*.json", "*.txt")
_TRIAL_SECONDS = 120
_LONGEST_HEADER = 100_000_000  # as safetensors itself has it
_SENTENCEPIECE = ("*.model", "*.spm")
# Tokenizers of transformers that split words with sacremoses.
_MOSES = ("xlm", "flaubert", "biogpt", "fsmt")
# An Egyptian hieroglyph: a letter, so that no normaliser drops it, and in hardly any vocabulary.
_RARE = "\U00013001"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a reader of a model folder should know.

    Attributes:
        where: the file.
        what: what is wrong with it.
        fix: what to do.
        fatal: whether a run cannot work, or would give wrong numbers.
    """

    where: str
    what: str
    fix: str = ""
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f"; {self.fix}" if self.fix else "")


Trial = Callable[[Path], Mapping[str, Any]]


def preflight(folder: Path, trial: Trial | None = None) -> list[Finding]:
    """All that is found in a model folder, faults first.

    Args:
        folder: a base model's folder, or an artifact with `encoder/` and `tokenizer/`.
        trial: as `model.trial.trial`; in a process of its own by default.
    """
    encoder = folder / "encoder" if (folder / "encoder").is_dir() else folder
    files = [*_pointers(folder), *_files(encoder)]
    found = list(files)
    rows = None
    if not any(finding.fatal for finding in files):
        said = (trial or _in_a_process)(folder)
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


def _pointers(folder: Path) -> Iterator[Finding]:
    """Files that Git LFS has not fetched."""
    for path in sorted({path for pattern in _LARGE_FILES for path in folder.rglob(pattern)}):
        if path.is_file():
            with path.open("rb") as file:
                if file.read(len(_POINTER)) == _POINTER:
                    yield Finding(
                        where=str(path), what="is a pointer of Git LFS and not the file", fix="git lfs pull fetches it"
                    )


def _files(folder: Path) -> Iterator[Finding]:
    """Faults of the configuration and of the weights' files."""
    config = folder / "config.json"
    weights = sorted(folder.glob("*.safetensors"))
    adapter = [path for path in (folder / "adapter_config.json",) if path.is_file()]
    if (
        adapter
        and not (folder / "model.safetensors").is_file()
        and not (folder / "model.safetensors.index.json").is_file()
    ):
        yield Finding(
            where=str(adapter[0]),
            what="the folder has an adapter and no model",
            fix="merge it into its model (peft: merge_and_unload) and save that",
        )
        return
    if not config.is_file():
        yield Finding(where=str(folder), what="there is no config.json", fix="take the folder as it was published")
        return
    settings = _json(config)
    if not isinstance(settings, dict) or not isinstance(settings.get("model_type"), str):
        yield Finding(where=str(config), what="is no configuration with a model_type", fix="take it as published")
    index = folder / "model.safetensors.index.json"
    if index.is_file() and not (folder / "model.safetensors").is_file():
        listed = _json(index)
        names = listed.get("weight_map") if isinstance(listed, dict) else None
        if not isinstance(names, dict):
            yield Finding(where=str(index), what="is no index of shards", fix="fetch it again")
            return
        absent = sorted({str(name) for name in names.values() if not (folder / str(name)).is_file()})
        if absent:
            yield Finding(
                where=str(index), what=f"{len(absent)} shards are missing: {', '.join(absent[:3])}", fix="fetch them"
            )
        weights = [path for path in weights if path.name in names.values()]
    for path in weights:
        if (wrong := _header_fault(path)) is not None:
            yield Finding(where=str(path), what=wrong, fix="fetch it again")


def _header_fault(path: Path) -> str | None:
    """What is wrong with a safetensors file, by its header and its size."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else _LONGEST_HEADER + 1
        if length > min(size - 8, _LONGEST_HEADER):
            return "is cut off, or no safetensors file"
        try:
            header = json.loads(file.read(length))
            ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            return "has a damaged header"
    wanted = 8 + length + max(ends, default=0)
    return None if size == wanted else f"has {size:,} bytes where its header wants {wanted:,}"


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
    largest = tokenizer.largest_id
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
    config = _json(
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
    settings = _json(files / "tokenizer_config.json")
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
    slow = _slow_vocabulary(files)
    if whole.is_file() and slow is not None:
        other = [word for word, number in slow.items() if tokenizer.id_of(word) != number]
        if other:
            yield Finding(
                where=str(whole),
                what=f"{len(other)} of the {len(slow)} words of the slow tokenizer's vocabulary have another id here or none: "
                + ", ".join(map(repr, other[:3])),
                fix="tokenizer.json is used; make sure that it is the model's",
                fatal=False,
            )


def _slow_vocabulary(files: Path) -> dict[str, int] | None:
    """The words of a slow tokenizer's vocabulary and their ids: a list (BERT) or an object (byte pairs)."""
    if (files / "vocab.txt").is_file() and not (files / "bpe.codes").is_file():
        lines = (files / "vocab.txt").read_text(encoding="utf-8", errors="replace").split("\n")
        return {line.rstrip("\r"): number for number, line in enumerate(lines) if line.strip()}
    words = _json(files / "vocab.json")
    return words if isinstance(words, dict) else None


def _json(path: Path) -> Any:
    """The content of a JSON file; None where there is none, or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
