"""Model selection on English dev: the room's own counts, which no reported metric steers.

Accuracy of each head's decisions: examples (classification, multiple choice), words (tagging), windows whose start and
end are both right (span), queries whose own candidate is nearest (dual); for masked language modelling the negative
loss. A repaired benchmark metric therefore retrains nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from xtreme_dag.core.english import ENGLISH
from xtreme_dag.training.masking import masking_for
from xtreme_dag.training.objectives import DeviceBatch, LossModule, on_device, ragged, units
from xtreme_dag.training.pools import HostBatch, Part, Pool
from xtreme_dag.training.tables import SelectionTable

# Dev examples are scored in batches of at most this many tokens; the result does not depend on it.
_TOKENS = 8_192
# The masks of masked language modelling's dev loss, the same at every look.
_MASK_SEED = 1


@dataclass(kw_only=True)
class Tracker:
    """The looks at dev so far.

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
    rows = np.arange(len(table.table))
    if task.spec.kind in ("classification", "multiple_choice"):
        rows = rows[table.table.per_example("label") >= 0]
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
    kind = pool.spec.kind
    batch = pool.batch(np.arange(len(pool)))
    if kind == "mlm":
        batch = masking_for(pool, probability).apply(batch, _MASK_SEED, 0)
    total, right, vectors = 0, torch.zeros((), dtype=torch.float64, device=device), []
    for part in parts_by_tokens(batch, _TOKENS):
        sent = on_device(pool.name, kind, part, device, remap)
        scores = module(sent, scores=True)
        total += units(kind, part)
        if kind == "dual":
            vectors.append((scores[sent.gold["queries"]], scores[sent.gold["candidates"]]))
        else:
            right += _right(kind, scores, sent).double()
    if kind == "dual":
        queries, candidates = (torch.cat(side) for side in zip(*vectors, strict=True))
        nearest = (queries @ candidates.T).argmax(dim=1)
        right += (nearest == torch.arange(len(queries), device=device)).sum()
    return float(right) / max(1, total)


def _right(kind: str, scores: Tensor, batch: DeviceBatch) -> Tensor:
    """How many of the head's decisions are right; for mlm the negative loss."""
    gold = batch.gold
    if kind == "mlm":
        return -functional.cross_entropy(scores.float(), gold["label"], reduction="sum")
    if kind == "multiple_choice":
        return (ragged(scores, gold).argmax(dim=1) == gold["label"]).sum()
    if kind == "span":
        start = ragged(scores[:, 0], gold).argmax(dim=1) == gold["start"]
        return (start & (ragged(scores[:, 1], gold).argmax(dim=1) == gold["end"])).sum()
    return (scores.argmax(dim=1) == gold["label"]).sum()


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
