"""Report which attention backend a device uses, and how it departs from the recipe, for log and manifest."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch

from xtreme_dag.model.attention import backend_for, drops_attention
from xtreme_dag.model.encoder import PackedEncoder
from xtreme_dag.study.train_recipe import TrainRecipe
from xtreme_dag.training.numerics import autocast


@dataclass(frozen=True, kw_only=True)
class Attending:
    """How attention is computed.

    Attributes:
        backend: `split`, `varlen`, `flash`, or `buckets` for an encoder whose attention cannot be packed.
        changes: how the run departs from its recipe, in words; empty where it does not.
        notes: what else a reader of the log should know.
    """

    backend: str
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def attending(encoder: PackedEncoder, device: torch.device, recipe: TrainRecipe) -> Attending:
    """How the encoder's attention runs on a device under a recipe."""
    if not encoder.packs:
        note = (
            f"attention of {encoder.config.model_type} cannot be packed: it runs padded, in buckets of similar length"
        )
        return Attending(backend="buckets", notes=(note,))
    reduced = not isinstance(autocast(device, recipe), nullcontext)
    backend = backend_for(device, torch.bfloat16 if reduced else torch.float32)
    own = float(getattr(encoder.config, "attention_probs_dropout_prob", 0.0))
    dropout = own if recipe.dropout is None else recipe.dropout
    if drops_attention(backend) or not dropout:
        return Attending(backend=backend)
    change = f"attention dropout {dropout:g} -> 0: torch's varlen_attn has none (flash-attention's kernel has)"
    return Attending(backend=backend, changes=(change,))
