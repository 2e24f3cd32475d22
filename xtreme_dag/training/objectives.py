"""The loss of each head over a packed batch, as a sum over units; the caller divides by the step's true count.

Units: examples (classification, multiple choice, dual), labelled words (tagging), windows (span), masked tokens (mlm).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from xtreme_dag.model.folder import TrainedModel
from xtreme_dag.model.packed import PackedTokens, pack, to_device
from xtreme_dag.training.masking import IGNORED
from xtreme_dag.training.pools import HostBatch


@dataclass(frozen=True, kw_only=True)
class DeviceBatch:
    """A packed batch on the device with the gold of one head.

    Attributes:
        task: name of the head.
        tokens: the packed tokens.
        gold: tensors that the head's loss needs; their names are those in `on_device`.
    """

    task: str
    tokens: PackedTokens
    gold: dict[str, Tensor]


def units(kind: str, batch: HostBatch) -> int:
    """How many terms the head's loss has over a batch."""
    if kind in ("tagging", "mlm"):
        return int(np.count_nonzero(batch.token_gold["labels"] != IGNORED))
    return len(batch.lengths) if kind == "span" else len(batch)


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
    gold = {name: to_device(value, device) for name, value in _gold(kind, batch).items()}
    return DeviceBatch(task=task, tokens=tokens, gold=gold)


def _gold(kind: str, batch: HostBatch) -> dict[str, npt.NDArray[Any]]:
    """What the head's loss needs besides hidden states."""
    if kind in ("tagging", "mlm"):
        labels = batch.token_gold["labels"].astype(np.int64)
        at = np.flatnonzero(labels != IGNORED)
        return {"at": at, "label": labels[at]}
    if kind == "classification":
        return {"label": batch.example_gold["label"].astype(np.int64)}
    if kind == "multiple_choice":
        rows, inside = _grid(batch.sequence_bounds[:-1], batch.per_example)
        return {"label": batch.example_gold["label"].astype(np.int64), "rows": rows, "inside": inside}
    if kind == "span":
        rows, inside = _grid(batch.token_bounds[:-1], batch.lengths)
        start, end = (batch.sequence_gold[name].astype(np.int64) for name in ("start", "end"))
        return {"start": start, "end": end, "rows": rows, "inside": inside}
    side = batch.sequence_gold["side"]
    return {"queries": np.flatnonzero(side == 0), "candidates": np.flatnonzero(side == 1)}


def _grid(
    starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Ragged rows as a rectangle of indices and which of its cells are real."""
    across = np.arange(int(lengths.max()))[None, :]
    inside = across < lengths[:, None]
    return np.where(inside, starts[:, None] + across, 0), inside


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
            gradient: for a dual head whose batch comes in parts: the gradient of the loss with respect to this part's
                vectors; the result is then their inner product.
            scores: true for the head's scores instead of the loss.
        """
        if scores:
            return self.model.scores(batch.task, batch.tokens, batch.gold.get("at"))
        if gradient is not None:
            vectors = self.vectors(batch)
            return (vectors * gradient).sum() + self._log_scale(batch.task) * 0.0
        kind = self.model.specs[batch.task].kind
        if kind == "dual":
            return self.dual_loss(batch.task, self.vectors(batch), batch.gold)
        return loss_of(kind, self.model.scores(batch.task, batch.tokens, batch.gold.get("at")), batch.gold)

    def vectors(self, batch: DeviceBatch) -> Tensor:
        """The dual head's unit vectors `[sequences, hidden]`."""
        return self.model.scores(batch.task, batch.tokens)

    def dual_loss(self, task: str, vectors: Tensor, gold: dict[str, Tensor]) -> Tensor:
        """In-batch softmax: each query against all candidates of the batch, its own being the right one."""
        queries, candidates = vectors.index_select(0, gold["queries"]), vectors.index_select(0, gold["candidates"])
        with torch.autocast(vectors.device.type, enabled=False):
            scores = self._log_scale(task).exp() * (queries @ candidates.T)
        return functional.cross_entropy(scores, torch.arange(len(queries), device=scores.device), reduction="sum")

    def _log_scale(self, task: str) -> Tensor:
        """The trainable factor on cosines, as a logarithm; a scalar."""
        head: Any = self.model.heads[task]
        scale: Tensor = head.log_scale.squeeze()
        return scale


def loss_of(kind: str, scores: Tensor, gold: dict[str, Tensor]) -> Tensor:
    """Sum of the cross entropies of a head's scores (all heads but dual)."""
    if kind == "multiple_choice":
        return functional.cross_entropy(ragged(scores, gold), gold["label"], reduction="sum")
    if kind == "span":
        start = functional.cross_entropy(ragged(scores[:, 0], gold), gold["start"], reduction="sum")
        end = functional.cross_entropy(ragged(scores[:, 1], gold), gold["end"], reduction="sum")
        return (start + end) / 2
    return functional.cross_entropy(scores.float(), gold["label"], reduction="sum")


def ragged(scores: Tensor, gold: dict[str, Tensor]) -> Tensor:
    """Flat scores as a rectangle with minus infinity where there is nothing."""
    return scores.float()[gold["rows"]].masked_fill(~gold["inside"], float("-inf"))
