"""The output layers of a masked language model: those that transformers' own class of the architecture has.

They are transformers' modules and are called by its own `forward`, with the states that the encoder gave in place of an
encoder: whatever an architecture does between its last layer and its scores is done as there.
"""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from xtreme_dag.model.layers import HeadModule, VocabularyScores


class OwnScores(HeadModule):
    """Scores over the vocabulary, for chosen tokens only, by a masked language model of transformers.

    Parameters that the model shares with its encoder's table of embeddings are the encoder's, and those that it has
    under two names are here once: they are put in their places for each call.

    Args:
        masked: the model; its encoder is taken out of it.
    """

    reads = "chosen"
    over_vocabulary = True
    _masked: Any
    _shared: list[tuple[nn.Module, str, nn.Module | None, str]]

    def __init__(self, masked: Any) -> None:
        super().__init__()
        table = masked.get_input_embeddings().weight
        setattr(masked, masked.base_model_prefix, _States())
        # Set past nn.Module: the layers are children of this module, and have one place in it.
        object.__setattr__(self, "_masked", masked)
        self._shared = []
        own: dict[int, tuple[nn.Module, str]] = {}
        for part in masked.modules():
            for name, value in list(part._parameters.items()):
                if value is table:
                    self._share(part, name, None, "")
                elif value is not None and id(value) in own:
                    self._share(part, name, *own[id(value)])
                elif value is not None:
                    own[id(value)] = (part, name)
        for name, child in masked.named_children():
            if name != masked.base_model_prefix:
                self.add_module(name, child)
        norms = (name for name, part in self.named_modules() if "norm" in type(part).__name__.lower())
        self.starts = {f"{name}.weight": 1.0 for name in norms}

    def _share(self, part: nn.Module, name: str, owner: nn.Module | None, owned: str) -> None:
        """Leaves out a parameter that is another module's, or (None) the encoder's table of embeddings."""
        del part._parameters[name]
        self._shared.append((part, name, owner, owned))

    @property
    def tied(self) -> bool:
        """Whether the decoder is the encoder's table of embeddings."""
        return any(owner is None for _part, _name, owner, _owned in self._shared)

    def share_bias(self, decoder: str) -> bool:
        """Takes a decoder's bias from the layer around it, if that has one: older checkpoints have it once."""
        part, around = self.get_submodule(decoder), self.get_submodule(decoder.rpartition(".")[0])
        if None in (part._parameters.get("bias"), around._parameters.get("bias")):
            return False
        self._share(part, "bias", around, "bias")
        return True

    def scores(self, states: Tensor, embeddings: Tensor) -> Tensor:
        """`[chosen, hidden]` states to `[chosen, vocabulary]` scores."""
        encoder = getattr(self._masked, self._masked.base_model_prefix)
        for part, name, owner, owned in self._shared:
            part.__dict__[name] = embeddings if owner is None else getattr(owner, owned)
        encoder.__dict__["states"] = states.unsqueeze(0)
        encoder.__dict__["embeddings"] = SimpleNamespace(word_embeddings=SimpleNamespace(weight=embeddings))
        try:
            found: Tensor = self._masked(input_ids=None).logits.squeeze(0)
        finally:
            for part, name, *_ in self._shared:
                del part.__dict__[name]
            del encoder.__dict__["states"], encoder.__dict__["embeddings"]
        return found


class _States(nn.Module):
    """Stands for the encoder of a masked language model and gives the states that it was handed.

    DeBERTa's newer head asks its encoder for `embeddings.word_embeddings.weight`.
    """

    def forward(self, *_: Any, **__: Any) -> Any:
        """What an encoder returns."""
        from transformers.modeling_outputs import BaseModelOutput

        return BaseModelOutput(last_hidden_state=self.__dict__["states"])


def masked_class(config: Any) -> Any:
    """Transformers' class of masked language models of an architecture; None where it has none."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING

    return None if getattr(config, "is_encoder_decoder", False) else MODEL_FOR_MASKED_LM_MAPPING.get(type(config), None)


def vocabulary_head(config: Any, embeddings: Tensor) -> HeadModule:
    """Uninitialised layers that score the vocabulary, for an encoder of a configuration.

    Args:
        config: the encoder's.
        embeddings: its table `[vocabulary, size]`.

    Returns:
        The layers of transformers' masked language model; where there is none those of XLM-R's, with a decoder tied to
        the embeddings if its inner layer is as wide as they are.
    """
    own = masked_class(config)
    if own is None:
        vocabulary, size = embeddings.shape
        epsilon = float(getattr(config, "layer_norm_eps", 1e-12))
        return VocabularyScores(int(config.hidden_size), size, vocabulary, epsilon)
    with torch.device("meta"):
        head = OwnScores(own(deepcopy(config)))
    return head.to_empty(device="cpu")
