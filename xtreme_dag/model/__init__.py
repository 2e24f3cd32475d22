"""Encoder, heads and packed attention. What the other rooms use is named here."""

from xtreme_dag.model.folder import TrainedModel, load_model, load_tokenizer, save_model
from xtreme_dag.model.heads import HeadSpec
from xtreme_dag.model.packed import PackedTokens, pack

__all__ = ["HeadSpec", "PackedTokens", "TrainedModel", "load_model", "load_tokenizer", "pack", "save_model"]
