"""The encoder with packed attention, and the layers that heads are made of."""

from xtreme_dag.model.packed import PackedTokens, pack

__all__ = ["PackedTokens", "pack"]
