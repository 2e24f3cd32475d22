"""The files of a model folder: what is wrong with them by their names, sizes and headers."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xtreme_dag.core.files import read_regular

_POINTER = b"version https://git-lfs"
_LARGE_FILES = ("*.safetensors", "*.model", "*.spm", "*.json", "*.txt")
_LONGEST_HEADER = 100_000_000  # as safetensors itself has it
_LARGEST_JSON = 256 << 20  # bytes


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


def pointers(folder: Path) -> Iterator[Finding]:
    """Files that Git LFS has not fetched."""
    for path in sorted({path for pattern in _LARGE_FILES for path in folder.rglob(pattern)}):
        if path.is_file():
            with path.open("rb") as file:
                if file.read(len(_POINTER)) == _POINTER:
                    yield Finding(
                        where=str(path), what="is a pointer of Git LFS and not the file", fix="git lfs pull fetches it"
                    )


def faults_of_files(folder: Path) -> Iterator[Finding]:
    """Faults of the configuration and of the weights' files."""
    config = folder / "config.json"
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
    settings = json_of(config)
    if not isinstance(settings, dict) or not isinstance(settings.get("model_type"), str):
        yield Finding(where=str(config), what="is no configuration with a model_type", fix="take it as published")
    index = folder / "model.safetensors.index.json"
    if index.is_file() and not (folder / "model.safetensors").is_file():
        listed = json_of(index)
        names = listed.get("weight_map") if isinstance(listed, dict) else None
        if not isinstance(names, dict):
            yield Finding(where=str(index), what="is no index of shards", fix="fetch it again")
            return
        absent = sorted({str(name) for name in names.values() if not (folder / str(name)).is_file()})
        if absent:
            yield Finding(
                where=str(index), what=f"{len(absent)} shards are missing: {', '.join(absent[:3])}", fix="fetch them"
            )
    for path in weights_of(folder):
        try:
            shapes_of(path)
        except ValueError as wrong:
            yield Finding(where=str(path), what=str(wrong), fix="fetch it again")


def weights_of(folder: Path) -> list[Path]:
    """The safetensors files that are loaded: one, the shards of an index, or whatever lies there."""
    whole = folder / "model.safetensors"
    found = [path for path in sorted(folder.glob("*.safetensors")) if path.is_file()]
    if whole.is_file():
        return [whole]
    listed = json_of(folder / "model.safetensors.index.json")
    names = listed.get("weight_map") if isinstance(listed, dict) else None
    return [path for path in found if path.name in names.values()] if isinstance(names, dict) else found


def shapes_of(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a safetensors file, by its header.

    Raises:
        ValueError: what is wrong with its header or its size.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else _LONGEST_HEADER + 1
        if length > min(size - 8, _LONGEST_HEADER):
            raise ValueError("is cut off, or no safetensors file")
        try:
            entries = {name: entry for name, entry in json.loads(file.read(length)).items() if name != "__metadata__"}
            ends = [int(entry["data_offsets"][1]) for entry in entries.values()]
            shapes = {name: tuple(map(int, entry["shape"])) for name, entry in entries.items()}
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError):
            raise ValueError("has a damaged header") from None
    wanted = 8 + length + max(ends, default=0)
    if size != wanted:
        raise ValueError(f"has {size:,} bytes where its header wants {wanted:,}")
    return shapes


def json_of(path: Path) -> Any:
    """The content of a JSON file; None where there is none, or no JSON."""
    try:
        return json.loads(read_regular(path, _LARGEST_JSON).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
