"""Training only the embedding rows that the data use.

A row that no token selects has zero gradient, so AdamW's moments stay zero and its step is weight decay alone: each
step multiplies it by (1 - rate x decay). Leaving such rows out and multiplying them at the end by the product gives
what training them would have given, without reading and writing them at every step (192 of the 278 million parameters
of XLM-R base are embeddings).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from xtreme_dag.model.encoder import PackedEncoder
from xtreme_dag.study.train_recipe import TrainRecipe
from xtreme_dag.tables.encoded import EncodedTable

# Above this share of used rows trimming gains too little to bother.
_WORTH_IT = 0.9


@dataclass(frozen=True, kw_only=True)
class Trimmed:
    """A vocabulary without the rows that a run does not use.

    Attributes:
        kept: ids of the kept rows, ascending.
        remap: id -> row of the small table (0 for rows that are not kept), int32 `[vocabulary]`.
        full: the whole table before training, on the CPU.
    """

    kept: npt.NDArray[np.int64]
    remap: npt.NDArray[np.int32]
    full: Tensor


def trim(encoder: PackedEncoder, tables: Iterable[EncodedTable]) -> Trimmed | None:
    """Shrinks the encoder's input embeddings to the ids in these tables; None if that is not worth it."""
    weights = encoder.word_embeddings()
    used = np.zeros(len(weights), dtype=bool)
    pad = encoder.pad_id
    used[pad] = True
    for table in tables:
        used[table.ids] = True
    if used.mean() > _WORTH_IT:
        return None
    kept = np.flatnonzero(used)
    remap = np.zeros(len(weights), dtype=np.int32)
    remap[kept] = np.arange(len(kept), dtype=np.int32)
    trimmed = Trimmed(kept=kept, remap=remap, full=weights.detach().cpu().clone())
    shrink(encoder, trimmed)
    return trimmed


def shrink(encoder: PackedEncoder, trimmed: Trimmed) -> None:
    """Leaves an encoder with the kept rows only, as they were before training."""
    rows = trimmed.full[torch.from_numpy(trimmed.kept)].to(encoder.word_embeddings().device)
    _set_rows(encoder, rows, int(trimmed.remap[encoder.pad_id]))


def restore(encoder: PackedEncoder, trimmed: Trimmed, recipe: TrainRecipe, steps_done: int, steps: int) -> None:
    """Puts the whole table back: trained rows as they are, the others decayed as `steps_done` of `steps` would have."""
    rates = np.array([recipe.rate(step, steps) for step in range(steps_done)], dtype=np.float64)
    factor = float(np.prod(1.0 - rates * recipe.weight_decay))
    small = encoder.word_embeddings()
    whole = (trimmed.full * factor).to(small.device)
    whole[torch.from_numpy(trimmed.kept).to(small.device)] = small.detach()
    _set_rows(encoder, whole, int(trimmed.kept[encoder.pad_id]))


def _set_rows(encoder: PackedEncoder, rows: Tensor, pad: int) -> None:
    """Replaces the input embedding table."""
    backbone: Any = encoder.backbone
    old = backbone.get_input_embeddings()
    padding = None if old.padding_idx is None else pad
    table = nn.Embedding(rows.shape[0], rows.shape[1], padding_idx=padding, _weight=rows)
    table.weight.requires_grad_(True)
    backbone.set_input_embeddings(table)
    encoder.pad_id = pad
