"""Atomic checkpoints: written to a temporary folder, synced, renamed; the last two are kept.

A checkpoint holds the weights, the optimizer's moments, the step and the best model so far. The schedule, the order of
the examples, the masks and the dropout are pure functions of (seed, step), so their position *is* the step, and no
generator's state has to be saved.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from xtreme_dag.core.files import sync_folder

_KEPT = 2
_PREFIX = "step-"
_BEST = "best.safetensors"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint as read.

    Attributes:
        folder: where it lies.
        weights: the trained module's parameters.
        optimiser: the optimizer's moments.
        state: step, selection history and what else the loop keeps, as JSON values.
    """

    folder: Path
    weights: dict[str, Tensor]
    optimiser: dict[str, Tensor]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run in its scratch folder.

    Args:
        folder: where, created if missing.
        run: a digest of what the run is; checkpoints of another run are not read.
    """

    def __init__(self, folder: Path, run: str) -> None:
        self._folder = folder
        self._run = run
        folder.mkdir(parents=True, exist_ok=True)

    def save(
        self, step: int, weights: Mapping[str, Tensor], optimiser: Mapping[str, Tensor], state: Mapping[str, Any]
    ) -> Path:
        """Writes the checkpoint of a step, whole or not at all, with the best model so far; returns its folder."""
        work = self._folder / "writing"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        _write(work / "weights.safetensors", weights)
        _write(work / "optimiser.safetensors", optimiser)
        if self.best_path.is_file():
            os.link(self.best_path, work / _BEST)
        with (work / "state.json").open("w", encoding="utf-8") as file:
            json.dump({**state, "step": step, "run": self._run}, file)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(work)
        final = self._folder / f"{_PREFIX}{step:09d}"
        shutil.rmtree(final, ignore_errors=True)
        work.rename(final)
        sync_folder(self._folder)
        for old in self._found()[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        return final

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint that can be read."""
        found = (self._read(path) for path in reversed(self._found()))
        return next((checkpoint for checkpoint in found if checkpoint is not None), None)

    def rewind(self, checkpoint: Checkpoint | None) -> None:
        """Makes the best model that of a checkpoint (of the start, if None): later ones are forgotten."""
        self.best_path.unlink(missing_ok=True)
        if checkpoint is not None and (checkpoint.folder / _BEST).is_file():
            os.link(checkpoint.folder / _BEST, self.best_path)

    @property
    def best_path(self) -> Path:
        """The best model so far."""
        return self._folder / _BEST

    def save_best(self, weights: Mapping[str, Tensor]) -> None:
        """Replaces the best model."""
        work = self._folder / "writing.safetensors"
        _write(work, weights)
        work.replace(self.best_path)

    def load_best(self) -> dict[str, Tensor]:
        """The best model's weights."""
        from safetensors.torch import load_file

        return load_file(str(self.best_path))

    def _found(self) -> list[Path]:
        """Checkpoint folders, oldest first."""
        return sorted(self._folder.glob(f"{_PREFIX}*"))

    def _read(self, path: Path) -> Checkpoint | None:
        """A checkpoint, or None if it is damaged or of another run."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            state = json.loads((path / "state.json").read_text(encoding="utf-8"))
            if not isinstance(state, dict) or state.pop("run") != self._run:
                return None
            return Checkpoint(
                folder=path,
                weights=load_file(str(path / "weights.safetensors")),
                optimiser=load_file(str(path / "optimiser.safetensors")),
                state=state,
            )
        except (OSError, ValueError, KeyError, RecursionError, SafetensorError):
            return None


def _write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes tensors and waits until they are on the disk."""
    from safetensors.torch import save_file

    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, str(path))
    sync_folder(path)
