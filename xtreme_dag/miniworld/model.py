"""The planted model: XLM-R's shape in two layers of 128, aligned words, a short run of masked language modelling."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xtreme_dag.errors import UserError, nearest
from xtreme_dag.miniworld.embeddings import SCALE, position_embeddings, word_embeddings
from xtreme_dag.miniworld.languages import CODES
from xtreme_dag.miniworld.source import table
from xtreme_dag.miniworld.tokenizer import MAX_LENGTH, SPECIALS, build, pieces, write
from xtreme_dag.stages.context import StageContext

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class Planting:
    """What makes one planted model.

    Attributes:
        seed: of the alignment, the initial weights and the text.
        steps: optimizer steps of masked language modelling.
        batch: sequences to a step.
        learning_rate: peak of AdamW's, after a tenth of the steps; it falls to zero in a straight line.
        masked: the share of tokens that are masked.
        switched: the share of sequences in which half of the words are put into other languages.
        sentences: lines of text generated for each language.
        length: tokens at most in a sequence.
        layers, hidden, heads: the encoder's size.
    """

    seed: int = 1
    steps: int = 150
    batch: int = 64
    learning_rate: float = 2e-3
    masked: float = 0.25
    switched: float = 0.4
    sentences: int = 2000
    length: int = 64
    layers: int = 2
    hidden: int = 128
    heads: int = 4


def plant(params: Mapping[str, Any], inputs: Mapping[str, Path], context: StageContext) -> Mapping[str, Any]:
    """Stage `pretrain`: writes a planted model as a model folder (encoder/, tokenizer/, heads.json).

    Args:
        params: fields of `Planting`.
        inputs: none.
        context: where to write; the run is single-threaded whatever its options say, so that the bytes are the same.

    Returns:
        `loss`: the last ten steps' mean, in nats to a masked token.

    Raises:
        UserError: an unknown parameter.
    """
    import torch

    known = [one.name for one in fields(Planting)]
    for name in params:
        if name not in known:
            raise UserError(f"no parameter {name!r}", where="pretrain miniworld", fix=nearest(name, known))
    planting = Planting(**params)
    write(context.out / "tokenizer")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(planting.seed)
            encoder = planted(planting)
            losses = pretrain(encoder, planting, context)
    finally:
        torch.set_num_threads(threads)
    encoder.save_pretrained(context.out / "encoder")
    (context.out / "heads.json").write_text(json.dumps({}) + "\n", encoding="utf-8")
    last = losses[-10:]
    return {"loss": sum(last) / len(last)} if last else {}


def planted(planting: Planting) -> Any:
    """An `XLMRobertaModel` with planted words and sinusoidal positions; other weights from torch's generator."""
    import torch
    from transformers import XLMRobertaConfig, XLMRobertaModel

    vectors = word_embeddings(seed=planting.seed, size=planting.hidden)
    config = XLMRobertaConfig(
        vocab_size=len(vectors),
        hidden_size=planting.hidden,
        num_hidden_layers=planting.layers,
        num_attention_heads=planting.heads,
        intermediate_size=4 * planting.hidden,
        max_position_embeddings=MAX_LENGTH + 2,
        type_vocab_size=1,
        pad_token_id=SPECIALS.index("<pad>"),
        bos_token_id=SPECIALS.index("<s>"),
        eos_token_id=SPECIALS.index("</s>"),
        layer_norm_eps=1e-5,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=SCALE,
    )
    encoder = XLMRobertaModel(config, add_pooling_layer=False)
    positions = position_embeddings(MAX_LENGTH + 2, planting.hidden)
    with torch.no_grad():
        encoder.embeddings.word_embeddings.weight.copy_(torch.from_numpy(vectors))
        encoder.embeddings.position_embeddings.weight.copy_(torch.from_numpy(positions))
    return encoder


def sequences(planting: Planting) -> list[tuple[str, list[int]]]:
    """The text to learn from: (language, token ids without special tokens), the lines of a document together."""
    tokenizer = build()
    made: list[tuple[str, list[int]]] = []
    for code in CODES:
        rows = table(
            "plain_text", dataset=f"planted {code}", language=code, split="train", rows=planting.sentences,
            seed=planting.seed,
        ).to_pylist()  # fmt: skip
        for _, lines in groupby(rows, key=lambda row: row["document"]):
            ids: list[int] = []
            for encoding in tokenizer.encode_batch([line["text"] for line in lines], add_special_tokens=False):
                if ids and len(ids) + len(encoding.ids) > planting.length - 2:
                    made.append((code, ids))
                    ids = []
                ids = ids + encoding.ids
            made.append((code, ids))
    return made


def counterparts() -> dict[int, list[int]]:
    """Token id -> ids of the same concept in other languages, for the beginnings of words."""
    by_concept: dict[str, list[int]] = {}
    for number, (piece, (concept, _)) in enumerate(pieces().items(), start=len(SPECIALS)):
        if piece.startswith("▁") and not concept.startswith("#"):
            by_concept.setdefault(concept, []).append(number)
    return {one: ids for ids in by_concept.values() for one in ids}


def batches(planting: Planting) -> Iterator[list[list[int]]]:
    """Endless batches of token ids with special tokens; some sequences switch between languages."""
    rng = random.Random(f"planting/{planting.seed}")
    texts, others = sequences(planting), counterparts()
    while True:
        made = []
        for _ in range(planting.batch):
            _, ids = rng.choice(texts)
            if rng.random() < planting.switched:
                ids = [rng.choice(others[one]) if one in others and rng.random() < 0.5 else one for one in ids]
            made.append([0, *ids, 2])
        yield made


def padded(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, int64 `[rows, longest]`."""
    import torch

    longest = max(len(row) for row in rows)
    ids = torch.tensor([[*row, *[1] * (longest - len(row))] for row in rows])
    return ids, (ids != 1).long()


def pretrain(encoder: Any, planting: Planting, context: StageContext) -> list[float]:
    """Masked language modelling in place, with the word embeddings as output weights; returns the loss of each step."""
    import torch
    from torch.nn import functional

    transform = torch.nn.Linear(planting.hidden, planting.hidden)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *transform.parameters()], lr=planting.learning_rate)
    warmup = max(1, planting.steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / warmup, (planting.steps - step) / max(1, planting.steps - warmup)),
    )
    mask = encoder.config.vocab_size - 1
    words = encoder.embeddings.word_embeddings.weight
    losses: list[float] = []
    encoder.train()
    for step, rows in zip(range(planting.steps), batches(planting), strict=False):
        ids, attention = padded(rows)
        chosen = (torch.rand(ids.shape) < planting.masked) & (ids > 3)
        hidden = encoder(ids.masked_fill(chosen, mask), attention_mask=attention).last_hidden_state[chosen]
        loss = functional.cross_entropy(functional.gelu(transform(hidden)) @ words.T, ids[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        context.progress(step + 1, planting.steps, loss=losses[-1])
    encoder.eval()
    return losses
