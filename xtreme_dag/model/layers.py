"""Layers that heads are made of: what turns hidden states of chosen tokens into scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

# LAReQA's dual encoder starts with this factor on its cosines (XTREME-R's run_lareqa).
DUAL_SCALE = 100.0


class HeadModule(nn.Module):
    """The layers of a head.

    Attributes:
        reads: which hidden states it takes: `first` (of each sequence's first token), `every`, `chosen` (of the
            positions that the head's gold names as `at`), or `sequences` (of every token, and int32 `[sequences + 1]`,
            where the sequences begin and end).
        over_vocabulary: whether it scores the whole vocabulary, as a pretrained model's own head.
        starts: values that parameters of one dimension start with; 0 for those that are not named.
    """

    reads = "first"
    over_vocabulary = False
    starts: Mapping[str, float] = {}

    def scores(self, states: Tensor, embeddings: Tensor) -> Tensor:
        """Scores of hidden states `[tokens read, hidden]`.

        Args:
            states: what it reads.
            embeddings: the encoder's input embeddings `[vocabulary, size]`.
        """
        found: Tensor = self(states)
        return found


class Classifier(HeadModule):
    """Scores of classes from the first token: dropout, dense, tanh, dropout, out (as RoBERTa's head).

    With one class `scores` are `[sequences]`.
    """

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

    def scores(self, states: Tensor, embeddings: Tensor) -> Tensor:
        """As `forward`, without an axis of one class."""
        found = super().scores(states, embeddings)
        return found.squeeze(-1) if found.shape[-1] == 1 else found


class SlotScores(HeadModule):
    """Scores of choices: several groups of classes, then choices of yes and no, each from the tokens that speak of it.

    Each group and each yes or no (a slot) has a query. The softmax of its products with the states of a sequence's
    tokens weighs these states; dropout, dense, tanh, dropout, out follow, as in `Classifier`. Of a first token alone a
    small encoder does not tell which of a hundred values was named.

    Args:
        hidden: width of a hidden state.
        sizes: number of classes of each group.
        flags: number of choices of yes and no, of which the yes has a score and the no has 0.
        dropout: as for `Classifier`.
    """

    reads = "sequences"
    slot: Tensor
    place: Tensor
    ends: Tensor

    def __init__(self, hidden: int, sizes: Sequence[int], flags: int, dropout: float) -> None:
        super().__init__()
        slots, classes = len(sizes) + flags, sum(sizes) + flags
        self.query = nn.Linear(hidden, slots, bias=False)
        self.dense = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, classes)
        self.dropout = nn.Dropout(dropout)
        zero, nothing = classes, classes + 1
        place = torch.full((slots, max([2, *sizes])), nothing)
        low = 0
        for row, size in enumerate(sizes):
            place[row, :size] = torch.arange(low, low + size)
            low += size
        for row in range(flags):
            place[len(sizes) + row, 0], place[len(sizes) + row, 1] = zero, low + row
        of_class = [row for row, size in enumerate([*sizes, *[1] * flags]) for _ in range(size)]
        self.register_buffer("slot", torch.tensor(of_class))  # kept with the weights, for an export
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("ends", torch.tensor([0.0, float("-inf")]), persistent=False)

    def forward(self, states: Tensor, bounds: Tensor) -> Tensor:
        """`[tokens, hidden]` states of sequences to `[sequences, slots, classes]` scores."""
        lengths = bounds.diff()
        inside = torch.arange(int(lengths.max()), device=states.device) < lengths[:, None]
        # Packed and padded once: the padding stands behind the tokens of a sequence and gets no weight.
        padded = states.new_zeros((*inside.shape, states.shape[1])).masked_scatter(inside[..., None], states)
        weights = self.query(padded).masked_fill(~inside[..., None], float("-inf")).softmax(dim=1)
        spoken = weights.transpose(1, 2) @ padded
        inner = self.dropout(torch.tanh(self.dense(self.dropout(spoken))))
        flat = (inner[:, self.slot] * self.out.weight).sum(dim=-1) + self.out.bias
        ends = self.ends.to(flat.dtype).expand(len(flat), 2)
        return torch.cat([flat, ends], dim=1)[:, self.place]


class Projection(HeadModule):
    """One linear layer on each token that is read.

    Args:
        hidden: width of a hidden state.
        outputs: scores per token.
        reads: `every` token or `chosen` ones.
        dropout: before the layer; None for none, whatever a recipe sets dropout to.
    """

    def __init__(self, hidden: int, outputs: int, *, reads: str, dropout: float | None = None) -> None:
        super().__init__()
        self.reads = reads
        self.out = nn.Linear(hidden, outputs)
        self.dropout = nn.Identity() if dropout is None else nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        """`[tokens, hidden]` to `[tokens, outputs]`."""
        scores: Tensor = self.out(self.dropout(states))
        return scores


class VocabularyScores(HeadModule):
    """Scores over the vocabulary, for chosen tokens only: dense, GELU, norm, decoder tied to the embeddings."""

    reads = "chosen"
    over_vocabulary = True
    starts: Mapping[str, float] = {"norm.weight": 1.0}

    def __init__(self, hidden: int, inner: int, vocabulary: int, epsilon: float) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, inner)
        self.norm = nn.LayerNorm(inner, eps=epsilon)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, chosen: Tensor, embeddings: Tensor) -> Tensor:
        """`[chosen, hidden]` states to `[chosen, vocabulary]` scores."""
        inner = self.norm(functional.gelu(self.dense(chosen)))
        return functional.linear(inner, embeddings, self.bias)

    def scores(self, states: Tensor, embeddings: Tensor) -> Tensor:
        """As `forward`."""
        found: Tensor = self(states, embeddings)
        return found


class UnitVectors(HeadModule):
    """Unit vectors for retrieval: dense and tanh on the first token, then L2 norm; a trainable factor on cosines."""

    starts: Mapping[str, float] = {"log_scale": math.log(DUAL_SCALE)}

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)
        self.log_scale = nn.Parameter(torch.tensor([math.log(DUAL_SCALE)]))

    def forward(self, first: Tensor) -> Tensor:
        """`[sequences, hidden]` states of the first tokens to unit vectors of the same shape."""
        return functional.normalize(torch.tanh(self.dense(first)).float(), dim=-1)


def head_dropout(config: Any) -> float:
    """The dropout of a classifier over an encoder of this configuration."""
    dropout = getattr(config, "classifier_dropout", None)
    return float(getattr(config, "hidden_dropout_prob", 0.0)) if dropout is None else dropout


def initialise(head: HeadModule, std: float, seed: int) -> None:
    """Normal weights of this deviation, `starts` elsewhere; a pure function of the seed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in head.named_parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
            else:
                parameter.fill_(head.starts.get(name, 0.0))


def cross_entropy(scores: Tensor, label: Tensor) -> Tensor:
    """Sum of the cross entropies of rows of scores."""
    return functional.cross_entropy(scores.float(), label, reduction="sum")


def ragged(scores: Tensor, gold: Mapping[str, Tensor]) -> Tensor:
    """Flat scores as a rectangle with minus infinity where there is nothing; see `heads.batches.grid`."""
    return scores.float()[gold["rows"]].masked_fill(~gold["inside"], float("-inf"))
