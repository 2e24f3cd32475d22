"""Model selection on English dev by counts of right decisions, independent of any reported metric.

The share of each head's decisions that are right (`Training.right` over `Training.units`); for masked language modelling
the negative loss. A repaired benchmark metric therefore retrains nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from xtreme_dag.core.english import ENGLISH
from xtreme_dag.heads import training_of
from xtreme_dag.heads.batches import HostBatch
from xtreme_dag.training.objectives import LossModule, joined, on_device
from xtreme_dag.training.pools import Part, Pool, labelled, masking_for
from xtreme_dag.training.tables import SelectionTable

# Dev examples are scored in batches of at most this many tokens; the result does not depend on it.
_TOKENS = 8_192
# The masks of masked language modelling's dev loss, the same at every look.
_MASK_SEED = 1


@dataclass(kw_only=True)
class Tracker:
    """The evaluations on dev so far, called looks.

    Attributes:
        patience: looks without improvement after which to stop, 0 for never.
        history: per look: step, figure of each task, their mean.
        best_step: step of the best look, None before the first.
    """

    patience: int
    history: list[dict[str, Any]] = field(default_factory=list)
    best_step: int | None = None

    def record(self, step: int, figures: dict[str, float]) -> bool:
        """Adds a look; whether it is the best so far (a tie is not)."""
        mean = float(np.mean(list(figures.values())))
        best = max((look["mean"] for look in self.history), default=float("-inf"))
        self.history.append({"step": step, "mean": mean, **figures})
        if mean > best:
            self.best_step = step
        return mean > best

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        if not self.patience or self.best_step is None:
            return False
        since = [look for look in self.history if look["step"] > self.best_step]
        return len(since) >= self.patience


def selection_pool(task: Pool, table: SelectionTable, dataset: str, examples: int) -> Pool:
    """The first `examples` labelled dev rows, for one task's head."""
    rows = np.flatnonzero(labelled(table.table, task.spec.kind))
    part = Part(source=table, dataset=dataset, language=ENGLISH, rows=rows[:examples])
    return Pool(name=task.name, spec=task.spec, parts=(part,))


@torch.no_grad()
def look(
    module: LossModule, pools: Sequence[Pool], device: torch.device, remap: Any, probability: float
) -> dict[str, float]:
    """Each task's figure on its dev pool; larger is better."""
    was_training = module.training
    module.eval()
    figures = {pool.name: _figure(module, pool, device, remap, probability) for pool in pools}
    module.train(was_training)
    return figures


def _figure(module: LossModule, pool: Pool, device: torch.device, remap: Any, probability: float) -> float:
    """One task's figure."""
    training = training_of(pool.spec.kind)
    masking = masking_for(pool, probability)
    batch = pool.batch(np.arange(len(pool)))
    if masking is not None:
        batch = masking.apply(batch, _MASK_SEED, 0)
    right = torch.zeros((), dtype=torch.float64, device=device)
    kept = []
    for part in parts_by_tokens(batch, _TOKENS):
        sent = on_device(pool.name, pool.spec.kind, part, device, remap)
        scores = module(sent, scores=True)
        if training.pull is not None:
            kept.append((scores, sent.gold))
        else:
            right += training.right(scores, sent.gold).double()
    if kept:
        right += training.right(*joined(kept)).double()
    return float(right) / max(1, training.units(batch))


def parts_by_tokens(batch: HostBatch, tokens: int | None) -> Iterator[HostBatch]:
    """The batch in runs of examples with at most `tokens` tokens each (one example at least)."""
    if tokens is None:
        yield batch
        return
    lengths = batch.tokens_per_example
    low, held = 0, 0
    for example, length in enumerate(lengths.tolist()):
        if held and held + length > tokens:
            yield batch.part(low, example)
            low, held = example, 0
        held += length
    if low < len(batch):
        yield batch.part(low, len(batch))
