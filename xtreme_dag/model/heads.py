"""Heads: what turns hidden states of chosen tokens into scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from xtreme_dag.core.errors import UserError, nearest

KINDS = ("classification", "multiple_choice", "tagging", "span", "mlm", "dual")
# LAReQA's dual encoder starts with this factor on its cosines (XTREME-R's run_lareqa).
DUAL_SCALE = 100.0


@dataclass(frozen=True, kw_only=True)
class HeadSpec:
    """What a head is.

    Attributes:
        kind: one of `KINDS`.
        labels: label names in the task's order, for classification and tagging.
    """

    kind: str
    labels: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> HeadSpec:
        """A spec from an entry of `heads.json` or from stage parameters."""
        return cls(kind=str(value["kind"]), labels=tuple(value.get("labels") or ()))


class ClassificationHead(nn.Module):
    """Scores of the classes from the first token: dropout, dense, tanh, dropout, out (as RoBERTa's head)."""

    def __init__(self, hidden: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, first: Tensor) -> Tensor:
        """`[sequences, hidden]` states of the first tokens to `[sequences, classes]` scores."""
        inner: Tensor = torch.tanh(self.dense(self.dropout(first)))
        scores: Tensor = self.out(self.dropout(inner))
        return scores


class TaggingHead(nn.Module):
    """Scores of the tags from each word's first piece."""

    def __init__(self, hidden: int, tags: int, dropout: float) -> None:
        super().__init__()
        self.out = nn.Linear(hidden, tags)
        self.dropout = nn.Dropout(dropout)

    def forward(self, pieces: Tensor) -> Tensor:
        """`[pieces, hidden]` states of the first pieces to `[pieces, tags]` scores."""
        scores: Tensor = self.out(self.dropout(pieces))
        return scores


class SpanHead(nn.Module):
    """Scores of each token as start and as end of the answer; the first token stands for no answer."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.out = nn.Linear(hidden, 2)

    def forward(self, hidden: Tensor) -> Tensor:
        """`[tokens, hidden]` to `[tokens, 2]` (start, end) scores."""
        scores: Tensor = self.out(hidden)
        return scores


class MlmHead(nn.Module):
    """Scores over the vocabulary, for the masked positions only: dense, GELU, norm, decoder tied to the embeddings.

    Where the encoder's embeddings have another width than its output layer (RemBERT) the decoder is its own.
    """

    def __init__(self, hidden: int, inner: int, vocabulary: int, epsilon: float, *, tied: bool) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, inner)
        self.norm = nn.LayerNorm(inner, eps=epsilon)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.decoder = None if tied else nn.Parameter(torch.zeros(vocabulary, inner))

    def forward(self, masked: Tensor, embeddings: Tensor) -> Tensor:
        """`[masked, hidden]` states to `[masked, vocabulary]` scores."""
        inner = self.norm(functional.gelu(self.dense(masked)))
        return functional.linear(inner, embeddings if self.decoder is None else self.decoder, self.bias)


class DualHead(nn.Module):
    """Unit vectors for retrieval: dense and tanh on the first token, then L2 norm; a trainable factor on cosines."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)
        self.log_scale = nn.Parameter(torch.tensor([math.log(DUAL_SCALE)]))

    def forward(self, first: Tensor) -> Tensor:
        """`[sequences, hidden]` states of the first tokens to unit vectors of the same shape."""
        return functional.normalize(torch.tanh(self.dense(first)).float(), dim=-1)


def build_head(spec: HeadSpec, config: Any, embeddings: Tensor) -> nn.Module:
    """An uninitialised head for an encoder.

    Args:
        spec: what head.
        config: the encoder's configuration.
        embeddings: its input embedding table `[vocabulary, size]`.

    Raises:
        UserError: an unknown kind, or no labels where the kind needs them.
    """
    hidden = int(config.hidden_size)
    dropout = getattr(config, "classifier_dropout", None)
    if dropout is None:
        dropout = float(getattr(config, "hidden_dropout_prob", 0.0))
    if spec.kind in ("classification", "tagging") and len(spec.labels) < 2:
        raise UserError(f"a {spec.kind} head needs at least two labels, it was given {list(spec.labels)}")
    if spec.kind == "classification":
        return ClassificationHead(hidden, len(spec.labels), dropout)
    if spec.kind == "multiple_choice":
        return ClassificationHead(hidden, 1, dropout)
    if spec.kind == "tagging":
        return TaggingHead(hidden, len(spec.labels), dropout)
    if spec.kind == "span":
        return SpanHead(hidden)
    if spec.kind == "mlm":
        inner = int(getattr(config, "output_embedding_size", embeddings.shape[1]))
        epsilon = float(getattr(config, "layer_norm_eps", 1e-12))
        return MlmHead(hidden, inner, embeddings.shape[0], epsilon, tied=inner == embeddings.shape[1])
    if spec.kind == "dual":
        return DualHead(hidden)
    raise UserError(f"there is no head {spec.kind!r}", fix=nearest(spec.kind, KINDS))


def initialise(head: nn.Module, std: float, seed: int) -> None:
    """Normal weights of this deviation, zero biases, unit norms; a pure function of the seed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in head.named_parameters():
            if name == "log_scale":
                parameter.fill_(math.log(DUAL_SCALE))
            elif parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
            else:
                parameter.fill_(1.0 if name == "norm.weight" else 0.0)
