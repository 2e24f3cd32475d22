"""A Hugging Face encoder that reads packed sequences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from xtreme_dag.core.errors import UserError
from xtreme_dag.model.attention import Boundaries, backend_for
from xtreme_dag.model.firsts import layer_of_firsts
from xtreme_dag.model.graphs import GraphedLayers, length_step, token_step
from xtreme_dag.model.packed import PackedTokens, bucketed, to_device

# Encoders of BERT's layers, whose attention goes through transformers' attention interface. What is done with single
# layers (narrowing the last one, recording or compiling them, leaving the upper ones out) is done with these.
LAYERED = frozenset({"bert", "camembert", "electra", "roberta", "xlm-roberta", "xlm-roberta-xl"})
# Encoders that can be packed: the tests hold each of them against its own padded batch.
PACKABLE = LAYERED | {
    "albert", "data2vec-text", "distilbert", "ernie", "eurobert", "gte", "jina_embeddings_v3", "modernbert",
    "nomic_bert", "roberta-prelayernorm",
}  # fmt: skip
# Encoders that were measured to give the same in company and alone, where padding is masked. Of others (FNet, ConvBERT)
# it is measured at every load, and those that padding changes run with sequences of equal length only.
PADDED = frozenset({"deberta", "deberta-v2", "mpnet", "mt5", "rembert", "roformer", "t5", "umt5", "xlm"})
# These normalise once more behind the last layer: their earlier states are not what a shorter encoder would return.
_NORMALISED_LAST = frozenset({"xlm-roberta-xl"})
_POSITIONS_AFTER_PADDING = frozenset(
    {"camembert", "data2vec-text", "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl"}
)
# In a length bucket the shortest sequence has at least this share of the longest one's tokens.
_BUCKET = 0.8


class PackedEncoder(nn.Module):
    """Hidden states of packed sequences, by whatever way the encoder allows.

    `PackedEncoder(...)(tokens)` is exact: the hidden states are those of the padded batch, to rounding.

    Args:
        backbone: a transformers encoder (`AutoModel`), loaded with `attn_implementation=xtreme_packed` if packable.

    Attributes:
        packs: whether attention is packed; else the sequences run padded, in buckets of similar length.
        layered: whether its layers are BERT's, and may be run one by one.
        share: in a bucket the shortest sequence has at least this share of the longest one's tokens.
        shortens: whether an encoder of the first layers alone gives the states behind them.
        pad_id: the padding token's row of the embedding table.
    """

    config: Any

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.backbone: nn.Module = backbone
        self.config = backbone.config
        self.packs = self.config.model_type in PACKABLE
        self.layered = self.config.model_type in LAYERED
        self.shortens = self.layered and self.config.model_type not in _NORMALISED_LAST
        self.share = _BUCKET
        after_padding = self.config.model_type in _POSITIONS_AFTER_PADDING
        self.position_offset = self.config.pad_token_id + 1 if after_padding else 0
        self.longest_allowed = self._limit()
        self.pad_id = int(self.config.pad_token_id or 0)
        self._at: Tensor | None = None
        self._compiled = False
        self._graphed: GraphedLayers | None = None
        # Set past nn.Module, as it has its place among the layers.
        object.__setattr__(self, "_narrowing", None)
        if self.layered:
            last: Any = self.own_layers()[-1]
            last.attention.output.register_forward_pre_hook(self._narrow)
            object.__setattr__(self, "_narrowing", last)
        self.uses_types = getattr(self.config, "type_vocab_size", 0) > 1

    def compile_layers(self) -> None:
        """Compiles the transformer layers (one program for all of them), for the CUDA backends.

        The last layer is left as it is: its hook is not for the compiler. Batches are then padded to few shapes.
        Encoders of other layers than BERT's are left as they are.
        """
        if self.layered:
            self._compiled = True
            for layer in self.own_layers()[:-1]:
                layer.compile(dynamic=True)

    def graph_layers(self) -> None:
        """Records training passes through all layers but the last as CUDA graphs and replays them.

        For the CUDA backends, one process and parameters that are not replaced from here on; batches are then padded to
        few shapes. Encoders of other layers than BERT's and those of one layer are left as they are.
        """
        if self.layered and self.layers > 1:
            # Set past nn.Module: the layers have one place in the model, and this is a second way to run them.
            object.__setattr__(self, "_graphed", GraphedLayers(list(self.own_layers())[:-1]))

    @property
    def graphs(self) -> int:
        """How many shapes of batches have been recorded."""
        return 0 if self._graphed is None else len(self._graphed)

    def record_anew(self) -> None:
        """Frees what was recorded; later passes are recorded again as they come."""
        if self._graphed is not None:
            self.graph_layers()

    def forget_graphs(self) -> None:
        """Frees what was recorded; the layers run as they are from here on."""
        object.__setattr__(self, "_graphed", None)

    @property
    def hidden_size(self) -> int:
        """Width of a hidden state."""
        return int(self.config.hidden_size)

    @property
    def layers(self) -> int:
        """Transformer layers; `every_layer` gives one state more (the embeddings)."""
        return int(self.config.num_hidden_layers)

    @property
    def layer_class(self) -> str:
        """Class name of a transformer layer: of the members of the list of modules with the most parameters."""
        lists = [part for part in self.backbone.modules() if isinstance(part, nn.ModuleList) and len(part)]
        largest = max(lists, key=lambda part: sum(value.numel() for value in part.parameters()))
        return type(largest[0]).__name__

    @contextmanager
    def running(self, layers: nn.ModuleList) -> Iterator[None]:
        """Inside, these stand for the encoder's layers (`layered` encoders only): fewer of them, or a recording."""
        encoder: Any = cast(Any, self.backbone).encoder
        own = encoder.layer
        encoder.layer = layers
        try:
            yield
        finally:
            encoder.layer = own

    def own_layers(self) -> nn.ModuleList:
        """The transformer layers of a `layered` encoder."""
        return cast(nn.ModuleList, cast(Any, self.backbone).encoder.layer)

    def _limit(self) -> int | None:
        """Tokens of a sequence at most, where there is a table of positions; relative ones have no limit."""
        for name, part in self.backbone.named_modules():
            if name.endswith("position_embeddings") and isinstance(part, nn.Embedding):
                # Where padding has a row of its own, the first token's position is the one behind it.
                return part.num_embeddings - (0 if part.padding_idx is None else part.padding_idx + 1)
        return None

    def word_embeddings(self) -> Tensor:
        """The input embedding table `[vocabulary, size]`."""
        return cast(Tensor, cast(Any, self.backbone).get_input_embeddings().weight)

    def forward(self, tokens: PackedTokens, at: Tensor | None = None) -> Tensor:
        """The last layer's hidden states, in the order of the packed tokens.

        Args:
            tokens: the packed tokens.
            at: int64 positions of the tokens that are wanted, None for all. Behind its attention the last layer treats
                tokens one by one, so three quarters of its arithmetic are done for the wanted tokens only.

        Returns:
            `[tokens, hidden]` or `[len(at), hidden]`.
        """
        layers = list(self.own_layers()) if self.layered and self.packs else []
        if at is not None and (not layers or layers[-1] is not self._narrowing):
            self._at = None
            return self._run(tokens, False)[-1].index_select(0, at)
        # The hook below reads this now, and once more if the layer is recomputed in the backward pass.
        self._at = at
        return self._run(tokens, False)[-1]

    def first_states(self, tokens: PackedTokens) -> Tensor:
        """The last layer's states of the first token of each sequence, `forward(tokens, tokens.first)` to rounding.

        In single precision on a CPU, where no gradient is asked for, the last layer is worked out for these tokens
        alone. On CUDA its keys and values cost less than the many small products that would replace them; where
        processes share the parameters (FSDP) a layer has them only while it runs itself.

        Returns:
            `[sequences, hidden]`.
        """
        device = tokens.input_ids.device
        layers = list(self.own_layers()) if self.shortens and self.packs else []
        inexact = self.training or torch.is_grad_enabled() or torch.is_autocast_enabled("cpu")
        if device.type != "cpu" or inexact or not layers or not _is_plain(layers[-1]):
            states: Tensor = self(tokens, tokens.first)
            return states
        with self.running(nn.ModuleList(layers[:-1])):
            states = self(tokens)
        return layer_of_firsts(layers[-1], states, tokens.first, tokens.lengths)

    def every_layer(self, tokens: PackedTokens) -> list[Tensor]:
        """Hidden states after the embeddings and after each layer: `layers + 1` tensors `[tokens, hidden]`."""
        self._at = None
        return self._run(tokens, True)

    def _narrow(self, _: nn.Module, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Leaves only the wanted tokens behind the last layer's attention (its output and its residual input)."""
        if self._at is None:
            return states
        return tuple(state.index_select(1, self._at) for state in states)

    def _run(self, tokens: PackedTokens, every: bool) -> list[Tensor]:
        """The states, packed where possible."""
        if self.longest_allowed is not None and tokens.longest > self.longest_allowed:
            raise UserError(
                f"a sequence has {tokens.longest} tokens and the encoder takes {self.longest_allowed}",
                fix="encode the data with a smaller max_length",
            )
        return self._packed(tokens, every) if self.packs else self._bucketed(tokens, every)

    def _packed(self, tokens: PackedTokens, every: bool) -> list[Tensor]:
        """All sequences in one row, attention within each."""
        real = len(tokens.input_ids)
        graphed = self._graphed if self.training and not every else None
        shaped = self._compiled or graphed is not None
        if shaped:
            tokens = bucketed(tokens, token_step(real), self.pad_id)
        device = tokens.input_ids.device
        dtype = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else torch.float32
        backend = backend_for(device, dtype)
        packing = Boundaries(
            bounds=tokens.bounds,
            lengths=tokens.lengths if backend == "split" else (),
            longest=length_step(tokens.longest) if shaped else tokens.longest,
            backend=backend,
        )
        types = tokens.type_ids if self.uses_types else None
        with nullcontext() if graphed is None else self.running(nn.ModuleList([graphed, self.own_layers()[-1]])):
            output = self.backbone(
                input_ids=tokens.input_ids.unsqueeze(0),
                position_ids=(tokens.positions + self.position_offset).unsqueeze(0),
                packing=packing,
                output_hidden_states=every,
                **({} if types is None else {"token_type_ids": types.unsqueeze(0)}),
            )
        states = output.hidden_states if every else [output.last_hidden_state]
        return [state.squeeze(0)[:real] for state in states]

    def _bucketed(self, tokens: PackedTokens, every: bool) -> list[Tensor]:
        """Padded runs over sequences of similar length; the states come back in packed order."""
        parts: list[list[Tensor]] = []
        places: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        lengths = np.array(tokens.lengths)
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        device = tokens.input_ids.device
        for rows in length_buckets(lengths, self.share):
            width = int(lengths[rows].max())
            inside = np.arange(width)[None, :] < lengths[rows][:, None]
            source = np.where(inside, bounds[rows][:, None] + np.arange(width)[None, :], 0)
            at = to_device(source, device)
            mask = to_device(inside, device)
            types = tokens.type_ids[at] * mask if self.uses_types and tokens.type_ids is not None else None
            output = self.backbone(
                input_ids=torch.where(mask, tokens.input_ids[at], self.pad_id),
                attention_mask=mask.long(),
                output_hidden_states=every,
                **({} if types is None else {"token_type_ids": types}),
            )
            states = output.hidden_states if every else [output.last_hidden_state]
            kept = to_device(np.flatnonzero(inside), device)
            parts.append([state.flatten(0, 1).index_select(0, kept) for state in states])
            places.append(source[inside])
        back = np.empty(len(tokens.input_ids), dtype=np.int64)
        back[np.concatenate(places)] = np.arange(len(back))
        order = to_device(back, device)
        return [torch.cat(states).index_select(0, order) for states in zip(*parts, strict=True)]


def length_buckets(
    lengths: np.ndarray[Any, np.dtype[Any]], share: float = _BUCKET
) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
    """Row numbers of sequences of similar length, longest first; every row is in exactly one bucket."""
    order = np.argsort(-lengths, kind="stable")
    buckets: list[np.ndarray[Any, np.dtype[np.int64]]] = []
    low = 0
    while low < len(order):
        enough = lengths[order[low:]] >= share * lengths[order[low]]
        high = low + (len(enough) if enough.all() else int(np.argmin(enough)))
        buckets.append(order[low:high])
        low = high
    return buckets


def _is_plain(layer: Any) -> bool:
    """Whether a layer's parameters are whole and here, shared with no other process, and no adapter is beside them."""
    own = (layer.attention.self.key, layer.attention.self.value)
    return all(type(each) is nn.Linear for each in own) and all(
        type(value) is nn.Parameter for value in layer.parameters()
    )
