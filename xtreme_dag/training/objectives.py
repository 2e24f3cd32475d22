"""Packed batches of one head's examples, and the sum of its loss over them; the caller divides by the step's units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from xtreme_dag.heads import training_of
from xtreme_dag.heads.batches import HostBatch
from xtreme_dag.heads.trained import TrainedModel
from xtreme_dag.model.packed import PackedTokens, pack, to_device


@dataclass(frozen=True, kw_only=True)
class DeviceBatch:
    """A packed batch on the device with the gold of one head.

    Attributes:
        task: name of the head.
        tokens: the packed tokens.
        gold: tensors that the head's loss needs; their names are those of the head's `gold`.
    """

    task: str
    tokens: PackedTokens
    gold: dict[str, Tensor]


def on_device(
    task: str, kind: str, batch: HostBatch, device: torch.device, remap: npt.NDArray[np.int32] | None = None
) -> DeviceBatch:
    """Packs a host batch and works out, on the host, every index that its loss needs.

    Args:
        task: name of the head.
        kind: its kind.
        batch: the examples, at least one.
        device: where it goes.
        remap: token id -> row of a trimmed embedding table, or None.
    """
    ids = batch.ids if remap is None else remap[batch.ids]
    tokens = pack(ids, batch.lengths, type_ids=batch.types, device=device)
    gold = {name: to_device(value, device) for name, value in training_of(kind).gold(batch).items()}
    return DeviceBatch(task=task, tokens=tokens, gold=gold)


class LossModule(nn.Module):
    """The model with its losses, so that a distributed wrapper sees one forward pass.

    Args:
        model: encoder and heads.
    """

    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: DeviceBatch, gradient: Tensor | None = None, *, scores: bool = False) -> Tensor:
        """The sum of the loss over the batch's units, a scalar.

        Args:
            batch: one head's examples.
            gradient: for a loss over a step's whole batch, which comes in parts: the loss's gradient with respect to
                this part's scores; the result is then their inner product.
            scores: true for the head's scores instead of the loss.
        """
        found = self.model.scores(batch.task, batch.tokens, batch.gold.get("at"))
        if scores:
            return found
        if gradient is None:
            return self.loss(batch.task, found, batch.gold)
        pull = training_of(self.model.specs[batch.task].kind).pull
        assert pull is not None
        return pull(self.model.head(batch.task), found, gradient)

    def loss(self, task: str, scores: Tensor, gold: dict[str, Tensor]) -> Tensor:
        """The sum of a head's loss over its units."""
        return training_of(self.model.specs[task].kind).loss(self.model.head(task), scores, gold)


def joined(parts: Sequence[tuple[Tensor, dict[str, Tensor]]]) -> tuple[Tensor, dict[str, Tensor]]:
    """Scores of parts of a batch as those of one, and their gold, which is positions of scores."""
    scores, places, rows = [], [], 0
    for part, gold in parts:
        scores.append(part)
        places.append({name: where + rows for name, where in gold.items()})
        rows += len(part)
    return torch.cat(scores), {name: torch.cat([part[name] for part in places]) for name in places[0]}
