"""The input and the outcome of a run of the training loop."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from xtreme_dag.model.adapters import Adapter
from xtreme_dag.study.train_recipe import TrainRecipe
from xtreme_dag.training.pools import Pool


@dataclass(frozen=True, kw_only=True)
class Run:
    """The input of a run: data, recipe and seed.

    Attributes:
        seed: of the order, the masks and the dropout.
        recipe: how.
        pools: the drawn examples of each task; their names are heads of the model.
        selection: dev pools, empty for none.
    """

    seed: int
    recipe: TrainRecipe
    pools: tuple[Pool, ...]
    selection: tuple[Pool, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        steps: optimizer steps of the schedule.
        done: optimizer steps taken (fewer when patience ran out).
        kept: the step whose weights the model has now.
        losses: float32 `[done]`, mean loss of each step.
        looks: the selection history.
        figures: speed, memory and what happened on the way; not deterministic.
        adapter: what stands for the encoder in what is stored; None for the encoder itself.
    """

    steps: int
    done: int
    kept: int
    losses: npt.NDArray[np.float32]
    looks: list[dict[str, Any]]
    figures: dict[str, Any] = field(default_factory=dict)
    adapter: Adapter | None = None


def run_digest(run: Run, steps: int) -> str:
    """What a checkpoint must have been made for: recipe, seed, tasks and the rows that were drawn."""
    drawn = hashlib.sha256()
    for pool in (*run.pools, *run.selection):
        for part in pool.parts:
            drawn.update(f"{pool.name}/{pool.spec}/{part.dataset}/{part.language}".encode())
            drawn.update(np.ascontiguousarray(part.rows, dtype=np.int64).tobytes())
    text = json.dumps({**asdict(run.recipe), "seed": run.seed, "steps": steps, "drawn": drawn.hexdigest()})
    return hashlib.sha256(text.encode()).hexdigest()
